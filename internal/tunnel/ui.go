package tunnel

import (
	"slices"
	"strings"
)

// UI is a web interface that EMR's primary node serves.
type UI struct {
	Name    string
	Aliases []string
	Title   string
	Ports   []int  // of the releases, the newest first; the first that answers is used
	Path    string // begins with /
	HTTPS   bool   // with a certificate that no browser knows
	About   string // what a user wonders about, or ""
}

// LocalPort is the port to offer it on: the same, where an ordinary user may listen there.
func (u UI) LocalPort() int {
	if u.Ports[0] < 1024 {
		return u.Ports[0] + 8000
	}
	return u.Ports[0]
}

// Scheme is http or https.
func (u UI) Scheme() string {
	if u.HTTPS {
		return "https"
	}
	return "http"
}

// UIs are the web interfaces, by name.
//
// Sources: "View web interfaces hosted on Amazon EMR clusters" (ManagementGuide/emr-web-interfaces: YARN, HDFS, Spark, Zeppelin, Hue,
// Ganglia, HBase, JupyterHub, Livy, Tez) and "Amazon EMR service ports" (ManagementGuide/emr-service-ports: HDFS 9870 and HiveServer2's
// 10002 on release 6 and later); "Tez web UI" (ReleaseGuide/tez-web-ui). HDFS moved with Hadoop 3: release 5 has 50070. EMR moves
// Presto and Trino from their 8080 to 8889 (presto-config). The other ports are the projects' own defaults, which EMR keeps: MapReduce
// 19888 (mapred-default.xml), timeline 8188 (yarn-default.xml), Oozie 11000, Flink's history 8082.
// Releases 5, 6 and 7 differ in HDFS alone; Ganglia ended with release 6.
func UIs() []UI {
	return []UI{
		{Name: "flink", Title: "Flink history server", Ports: []int{8082}, Path: "/"},
		{Name: "ganglia", Title: "Ganglia", Ports: []int{80}, Path: "/ganglia/", About: "releases 5 and 6"},
		{Name: "hbase", Title: "HBase", Ports: []int{16010}, Path: "/"},
		{Name: "hdfs", Aliases: []string{"namenode"}, Title: "HDFS NameNode", Ports: []int{9870, 50070}, Path: "/"},
		{Name: "hive", Aliases: []string{"hiveserver2"}, Title: "HiveServer2", Ports: []int{10002}, Path: "/"},
		{Name: "hue", Title: "Hue", Ports: []int{8888}, Path: "/"},
		{Name: "jupyter", Aliases: []string{"jupyterhub"}, Title: "JupyterHub", Ports: []int{9443}, Path: "/", HTTPS: true, About: "its certificate is its own: the browser warns"},
		{Name: "livy", Title: "Livy", Ports: []int{8998}, Path: "/"},
		{Name: "mapreduce", Aliases: []string{"jobhistory"}, Title: "MapReduce JobHistory", Ports: []int{19888}, Path: "/"},
		{Name: "oozie", Title: "Oozie", Ports: []int{11000}, Path: "/oozie/"},
		{Name: "presto", Title: "Presto", Ports: []int{8889}, Path: "/"},
		{Name: "spark", Title: "Spark history server", Ports: []int{18080}, Path: "/", About: "a running job's page is behind yarn"},
		{Name: "tez", Title: "Tez", Ports: []int{8080}, Path: "/tez-ui"},
		{Name: "timeline", Title: "YARN timeline server", Ports: []int{8188}, Path: "/"},
		{Name: "trino", Title: "Trino", Ports: []int{8889}, Path: "/"},
		{Name: "yarn", Title: "YARN ResourceManager", Ports: []int{8088}, Path: "/", About: "its links to jobs name the node: use the SOCKS proxy for them"},
		{Name: "zeppelin", Title: "Zeppelin", Ports: []int{8890}, Path: "/"},
	}
}

// FindUI finds a web interface by its name or another name of it.
func FindUI(name string) (UI, bool) {
	name = strings.ToLower(name)
	for _, u := range UIs() {
		if u.Name == name || slices.Contains(u.Aliases, name) {
			return u, true
		}
	}
	return UI{}, false
}
