#!/bin/sh
# packaging/release puts this in front of every script that follows, because a package's scripts cannot share a file.
set -e

# users are those whose service manager runs: who is logged in, or lingers.
users() {
	[ -d /run/systemd/system ] || return 0 # a chroot, a container, or another init
	systemctl --plain --no-legend list-units 'user@*.service' 2>/dev/null | sed -n 's/^ *user@\([0-9][0-9]*\)\.service .*/\1/p'
}

# for_users VERBS… tells the service manager of each of them. One that does not answer is no reason for the packages to
# be left half done.
for_users() {
	for uid in $(users); do
		systemctl --quiet --user --machine="$uid@" "$@" >/dev/null 2>&1 || true
	done
}

# for_services VERBS… does it to the users' own services, and to those that "emr-accessd install --system" made.
for_services() {
	for_users "$@" emr-accessd.service
	[ -d /run/systemd/system ] || return 0
	systemctl --quiet "$@" 'emr-accessd@*.service' >/dev/null 2>&1 || true
}

# folder is where "emr-accessd install --system" puts its units.
folder=/etc/systemd/system

# made lists the units that it made for the program of the package.
made() {
	for file in "$folder"/emr-accessd@*.service; do
		if head -n 1 "$file" 2>/dev/null | grep -q '^# Made by emr-accessd' && grep -Eq '^ExecStart=(/usr)?/bin/emr-accessd ' "$file"; then
			basename "$file"
		fi
	done
}

# stop_ours stops what runs the program of the package, which is about to go, and disables what would start it at the next
# boot. A service of a user that runs another, in the home folder or in /usr/local, is nothing to the package.
stop_ours() {
	for uid in $(users); do
		stop_if_ours emr-accessd.service --user --machine="$uid@"
	done
	for unit in $(made); do
		systemctl --quiet disable "$unit" >/dev/null 2>&1 || true
		echo "$unit is disabled; $folder/$unit stays. With the package back: systemctl enable --now $unit"
	done
	[ -d /run/systemd/system ] || return 0
	for unit in $(systemctl --plain --no-legend list-units 'emr-accessd@*.service' 2>/dev/null | sed -n 's/^ *\(emr-accessd@[^ ]*\.service\) .*/\1/p'); do
		stop_if_ours "$unit" --system
	done
}

# stop_if_ours UNIT MANAGER… asks the manager what the unit runs.
stop_if_ours() {
	unit=$1
	shift
	if systemctl "$@" show --property=ExecStart "$unit" 2>/dev/null | grep -Eq 'path=(/usr)?/bin/emr-accessd ;'; then
		systemctl --quiet "$@" stop "$unit" >/dev/null 2>&1 || true
	fi
}

# forget_made removes the disabled units, and the variables that install kept for them, which may have a proxy's password.
forget_made() {
	for unit in $(made); do
		rm -f "$folder/$unit" "$folder/${unit%.service}.env"
	done
	[ -d /run/systemd/system ] || return 0
	systemctl --quiet daemon-reload >/dev/null 2>&1 || true
}

# restarted lets services that run go on with the new program, and leaves alone those that do not run. It does not wait
# for them: a service that cannot start is no reason to hold up an upgrade.
restarted() {
	for_users daemon-reload
	for_services --no-block try-restart
}

# welcome says what to do, once. The service is enabled for nobody: there is no configuration yet.
welcome() {
	echo "emr-accessd is started for nobody yet. As yourself, not as root:"
	echo "  emr-accessd init       write a configuration for a cluster that you pick"
	echo "  emr-accessd install    follow your address from now on, and after each login"
}
