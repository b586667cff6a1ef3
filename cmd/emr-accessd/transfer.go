package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/emr-accessd/emr-accessd/internal/transfer"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// transferFlags are the flags of put and get.
type transferFlags struct {
	connectFlags
	src    []string
	dest   string
	dryRun bool
	follow bool

	noMeter bool
}

// stream is the name that stands for standard input and output.
const stream = "-"

const transferRules = `Names are understood as by cp and scp: the last one is DEST, unless there is only one.
An existing folder as DEST takes the sources in; else the only source becomes DEST. A
DEST with / at its end is a folder in any case, and made where it is missing. Folders
are copied whole, without a flag. Symbolic links that are named are followed; those
inside of folders are left out, and each is told, or followed too with -L.

Each file is written under another name (.NAME.emr-accessd-….part) and renamed when it is
whole, so that nobody ever sees half of it, and an old one stays until then. Modes and
times are kept. Exit code 1 when any file was not copied.`

func (a *app) putCommand() *cobra.Command {
	var f transferFlags
	cmd := &cobra.Command{
		Use:   "put [flags] CLUSTER SOURCE… [DEST]",
		Short: "copy files and folders to the cluster's primary node",
		Long: `Copies files and folders of this computer to the cluster's primary node, as connect
gets there: the rule for your address is brought in place, the host key verified.

On the node, paths begin in the home of the account that logs in (hadoop), and that is
DEST when there is none. SOURCE - is standard input.

` + transferRules + `

The node's own disk is meant. For HDFS or S3, run the command there:
emr-accessd connect CLUSTER -- hdfs dfs -put …`,
		Example: `  emr-accessd put j-2AXXXXXXGAPLF job.py                     to the home of hadoop
  emr-accessd put j-2AXXXXXXGAPLF target/job.jar conf/ jobs/   both into jobs/
  emr-accessd put j-2AXXXXXXGAPLF conf.new conf.xml            under another name
  tar c src | emr-accessd put j-2AXXXXXXGAPLF - src.tar`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, sources, dest, err := f.split(cmd, args)
			if err != nil {
				return err
			}
			if err := notOnDisk(cmd, dest); err != nil {
				return err
			}
			if err := anyThere(sources); err != nil {
				return err
			}
			return a.transfer(cmd, "put", cluster, f, dest, func(ctx context.Context, c *transfer.Client, opt transfer.Options) (transfer.Report, error) {
				if len(sources) == 1 && sources[0] == stream {
					return c.PutStream(ctx, a.In, dest, opt)
				}
				return c.Put(ctx, sources, dest, opt)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (a *app) getCommand() *cobra.Command {
	var f transferFlags
	cmd := &cobra.Command{
		Use:   "get [flags] CLUSTER SOURCE… [DEST]",
		Short: "copy files and folders from the cluster's primary node",
		Long: `Copies files and folders of the cluster's primary node to this computer, as connect gets
there: the rule for your address is brought in place, the host key verified.

On the node, paths begin in the home of the account that logs in (hadoop). The last name of
a SOURCE may have the wildcards * ? and [ ]: quote them, or your own shell takes them for
files of this computer. Without DEST, the current folder is meant; DEST - is standard
output, for one file.

` + transferRules + ` A file that grows meanwhile, as a
log does, is copied as long as it was. Nothing is written outside of DEST, whatever names
the node tells.`,
		Example: `  emr-accessd get j-2AXXXXXXGAPLF result.csv                   into the current folder
  emr-accessd get j-2AXXXXXXGAPLF /var/log/hadoop-yarn logs/   a whole folder, into logs/
  emr-accessd get j-2AXXXXXXGAPLF '/mnt/var/log/spark/*.out' logs/
  emr-accessd get j-2AXXXXXXGAPLF src.tar - | tar x`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, sources, dest, err := f.split(cmd, args)
			if err != nil {
				return err
			}
			if err := notOnDisk(cmd, sources...); err != nil {
				return err
			}
			if dest == stream && len(sources) > 1 {
				return usageError{errors.New("only one file can be written to standard output"), cmd.CommandPath()}
			}
			if dest == stream && (a.flags.json || f.dryRun) {
				return usageError{errors.New("standard output cannot carry both a file and an answer"), cmd.CommandPath()}
			}
			if dest == stream {
				f.noMeter = a.quietOutput()
			}
			return a.transfer(cmd, "get", cluster, f, strings.Join(sources, " "), func(ctx context.Context, c *transfer.Client, opt transfer.Options) (transfer.Report, error) {
				if dest == stream {
					return c.GetStream(ctx, sources[0], a.Out, opt)
				}
				return c.Get(ctx, sources, dest, opt)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (f *transferFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.src, "src", nil, "`path` of a SOURCE, as with aws emr put")
	cmd.Flags().StringVar(&f.dest, "dest", "", "`path` of DEST, as with aws emr put")
	cmd.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "only say what would be copied where")
	cmd.Flags().BoolVarP(&f.follow, "follow", "L", false, "copy what symbolic links in folders lead to")
	cmd.Flags().BoolP("recursive", "r", true, "folders are copied whole in any case")
	_ = cmd.Flags().MarkHidden("recursive") // for fingers that know scp
	f.registerLogin(cmd)
}

// clusterColon is how scp writes what is two words here.
var clusterColon = regexp.MustCompile(`^j-[A-Za-z0-9]+:`)

// split tells the cluster, the sources and the destination apart. dest is "" where there is none.
func (f *transferFlags) split(cmd *cobra.Command, args []string) (cluster string, sources []string, dest string, err error) {
	usage := func(format string, args ...any) error {
		return usageError{fmt.Errorf(format, args...), cmd.CommandPath()}
	}
	for _, arg := range args {
		if clusterColon.MatchString(arg) {
			id, rest, _ := strings.Cut(arg, ":")
			return "", nil, "", hinted{usage("%s: the cluster and a path are two words here", arg), exitUsage, fmt.Sprintf("%s %s … %s", cmd.CommandPath(), id, rest)}
		}
	}
	if len(args) == 0 {
		return "", nil, "", usage("no cluster is named")
	}
	cluster, rest := args[0], args[1:]
	dest = f.dest
	switch {
	case len(f.src) > 0 && len(rest) > 1, len(f.src) > 0 && len(rest) == 1 && dest != "":
		return "", nil, "", usage("with --src, only DEST can follow the cluster")
	case len(f.src) > 0:
		sources = f.src
		if len(rest) == 1 {
			dest = rest[0]
		}
	case len(rest) == 0:
		return "", nil, "", usage("nothing is named to be copied")
	case dest != "" || len(rest) == 1:
		sources = rest
	default:
		sources, dest = rest[:len(rest)-1], rest[len(rest)-1]
	}
	for _, s := range sources {
		if s == "" {
			return "", nil, "", usage("a SOURCE is empty")
		}
		if s == stream && (len(sources) > 1 || cmd.Name() == "get") {
			return "", nil, "", usage("%s cannot be a SOURCE here", stream)
		}
	}
	if cmd.Name() == "put" && sources[0] == stream && dest == "" {
		return "", nil, "", usage("standard input has no name: DEST is needed")
	}
	if sources[0] == stream && f.dryRun {
		return "", nil, "", usage("standard input cannot be looked at beforehand")
	}
	if cmd.Name() == "get" && dest == "" {
		dest = "."
	}
	return cluster, sources, dest, nil
}

// notOnDisk refuses addresses of other storage, which would become strange file names.
func notOnDisk(cmd *cobra.Command, paths ...string) error {
	for _, p := range paths {
		for _, scheme := range []string{"s3://", "s3a://", "s3n://", "hdfs:"} {
			if strings.HasPrefix(p, scheme) {
				return hinted{usageError{fmt.Errorf("%s is not on the node's disk, which is what %s copies", p, cmd.CommandPath()), ""}, exitUsage,
					"run the copy on the node: emr-accessd connect CLUSTER -- hdfs dfs -get|-put …, or aws s3 cp …"}
			}
		}
	}
	return nil
}

// anyThere refuses names of which none is there, before anything is opened for them.
func anyThere(sources []string) error {
	var first error
	for _, s := range sources {
		_, err := os.Stat(s)
		if err == nil || s == stream {
			return nil
		}
		if failed, ok := errors.AsType[*fs.PathError](err); ok && first == nil {
			first = fmt.Errorf("%s: %w", failed.Path, failed.Err)
		}
	}
	return first
}

// transfer connects and copies. far are the paths of the node, for hints.
func (a *app) transfer(cmd *cobra.Command, verb, cluster string, f transferFlags, far string,
	copyAll func(context.Context, *transfer.Client, transfer.Options) (transfer.Report, error)) error {
	ctx := cmd.Context()
	if err := a.load(); err != nil {
		return err
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	p, err := a.prepare(ctx, cluster, f.stay)
	if err != nil {
		return err
	}
	defer p.end()
	client, err := a.dial(ctx, p, f.connectFlags)
	if err != nil {
		return err
	}
	defer client.Close()
	defer a.watchView(ctx, client, p.report)()
	a.status.say("waiting for the node's SFTP server")
	session, err := openTransfer(ctx, client)
	a.status.clear()
	if err != nil {
		return a.lostLink(ctx, client, err)
	}
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(400)) // each packet is garbage: measured, a fifth of the CPU time, for some MB
	}
	opt := transfer.Options{Meter: &transfer.Meter{}, DryRun: f.dryRun, Follow: f.follow}
	begun := time.Now()
	stop := func() {}
	if !f.noMeter {
		stop = a.showMeter(verb, opt.Meter)
	}
	report, err := copyAll(ctx, session, opt)
	stop()
	if err != nil {
		return a.lostLink(ctx, client, hintFar(err, far))
	}
	return a.transferred(ctx, client, transferAnswer{Cluster: p.cluster, Direction: verb, DryRun: f.dryRun}, report, time.Since(begun))
}

// quietOutput prepares for standard output that is somebody's data: a reader that has had enough (head) must not end the program
// before the rule is given back, and where it is a terminal, no progress line is drawn into it.
func (a *app) quietOutput() (noMeter bool) {
	surviveReaders()
	out, ok := a.Out.(*os.File)
	return ok && term.IsTerminal(int(out.Fd()))
}

// openTransfer begins an SFTP session.
func openTransfer(ctx context.Context, client *sshsession.Client) (*transfer.Client, error) {
	sftp, err := client.Subsystem(ctx, "sftp")
	if errors.Is(err, sshsession.ErrNoSubsystem) {
		return nil, hinted{err, exitFailed, `the node's /etc/ssh/sshd_config needs a line "Subsystem sftp internal-sftp"; until then a file goes through: emr-accessd connect CLUSTER -- cat FILE`}
	}
	if err != nil {
		return nil, err
	}
	session, err := transfer.Open(ctx, sftp, func() { client.Close() })
	if errors.Is(err, transfer.ErrNoSFTP) {
		return nil, hinted{err, exitFailed, "does the account's .bashrc print something, or does the account run another shell? It must be quiet where there is no terminal"}
	}
	return session, err
}

// lostLink finds the reason of an error that came because the connection ended, or because the user ended it.
func (a *app) lostLink(ctx context.Context, client *sshsession.Client, err error) error {
	if ctx.Err() != nil {
		return errStopped
	}
	if !errors.Is(err, transfer.ErrLost) {
		return err
	}
	select { // the end of the SFTP session is seen before the end of the connection under it
	case <-client.Done():
	case <-time.After(time.Second):
	}
	const again = "run it again: no half file is left under its own name"
	if lost := client.Err(); lost != nil {
		return hinted{fmt.Errorf("%w (%w)", lost, err), exitFailed, again}
	}
	return hinted{err, exitFailed, again}
}

// errStopped is a transfer that the user has ended.
var errStopped = hinted{errors.New("interrupted"), exitFailed, "files that were finished stay; no half file is left under its own name"}

// hintFar adds what is likely behind a path that is not there.
func hintFar(err error, far string) error {
	home, herr := os.UserHomeDir()
	_, place := errors.AsType[*transfer.PlaceError](err)
	if place && herr == nil && home != "/" && strings.Contains(far, home) {
		return hinted{err, exitFailed, "your shell makes " + home + " of ~; on the node, paths begin in its own home, so leave ~/ away"}
	}
	return err
}
