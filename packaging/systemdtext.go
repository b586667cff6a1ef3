package packaging

// systemdUserUnit has left out: the command line, the environment, and [systemdService].
const systemdUserUnit = `# Made by emr-accessd: a service of the user (systemctl --user enable --now emr-accessd).
[Unit]
Description=Keep SSH to Amazon EMR open for the current address
Documentation=https://github.com/emr-accessd/emr-accessd
# After ten failures in five minutes it stays down and systemctl --user status says so.
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
ExecStart=%s
%s%s
# What follows needs no user namespaces, which some systems forbid. It holds for the helpers as well that the AWS
# configuration starts (credential_process), so it leaves out:
#   MemoryDenyWriteExecute, under which node and other programs with a JIT compiler exit at once;
#   ProtectHome, because the SSO token cache in ~/.aws is written;
#   CapabilityBoundingSet, which a user's service manager may not change.
` + systemdSandbox + `
[Install]
# A user's service manager has no multi-user.target.
WantedBy=default.target
`

// systemdSystemUnit has left out: the command line, the user, the environment, [systemdService], and the folders that
// may be written to.
const systemdSystemUnit = `# Made by emr-accessd: a service of the system that runs as an ordinary user.
[Unit]
Description=Keep SSH to Amazon EMR open for the current address
Documentation=https://github.com/emr-accessd/emr-accessd
# It waits for the network by itself; this is for names of users and hosts, and for an orderly end.
After=network.target nss-user-lookup.target
# After ten failures in five minutes it stays down and systemctl status says so.
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
ExecStart=%s
# Never root: it starts the helpers that this user's AWS configuration names (credential_process).
User=%s
%s%s
# It and its helpers see the system and the homes, and write its own state and the caches of tokens alone.
ProtectSystem=strict
ProtectHome=read-only
%sPrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateUsers=yes
RemoveIPC=yes
KeyringMode=private
CapabilityBoundingSet=
AmbientCapabilities=
# Not MemoryDenyWriteExecute, under which node and other programs with a JIT compiler exit at once.
` + systemdSandbox + `
[Install]
WantedBy=multi-user.target
`

// systemdService is what both units have: when it counts as started, hung and failed.
const systemdService = `# It says itself when it has begun, what it has open now (systemctl status), and that its loop is alive.
Type=notify
NotifyAccess=main
# A loop that neither waits nor works for so long hangs: it is ended with a trace of all that it was doing, and started
# again. The clock stands while the laptop sleeps.
WatchdogSec=180
# A crash costs five seconds. Exit status 78 is a mistake in the configuration, which trying again does not mend.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=78
# It ends within a second of SIGTERM; a call to AWS that hangs must not hold up a logout.
TimeoutStopSec=10
# State and host keys are nobody else's business; nor is memory, which holds credentials.
UMask=0077
LimitCORE=0
`

// systemdSandbox is what both units forbid.
const systemdSandbox = `NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
# AF_NETLINK tells of network changes, AF_UNIX reaches the name service and the SSH agent.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# A helper that tries something forbidden gets an error, which most can live with, instead of being killed.
SystemCallErrorNumber=EPERM
`
