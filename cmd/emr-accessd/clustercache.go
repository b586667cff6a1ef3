package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// clusterCacheFile holds the last lists of clusters, for the shell to complete. It is a convenience: nothing else
// is decided by it, and it may be deleted.
const clusterCacheFile = "clusters.json"

const (
	maxClusterCache  = 1 << 20 // bytes
	maxCachedPlaces  = 20
	maxCachedCluster = 500 // of one place
)

type clusterCache struct {
	Places []cachedPlace `json:"places"`
}

// cachedPlace are the active clusters of a profile and region at one time.
type cachedPlace struct {
	Profile  string          `json:"profile"`
	Region   string          `json:"region"`
	At       time.Time       `json:"at"`
	Clusters []cachedCluster `json:"clusters"`
}

type cachedCluster struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
}

func newCachedPlace(profile, region string, list []awsclient.ClusterSummary) cachedPlace {
	p := cachedPlace{Profile: profile, Region: region, At: time.Now().Round(0), Clusters: []cachedCluster{}}
	for _, c := range list[:min(len(list), maxCachedCluster)] {
		p.Clusters = append(p.Clusters, cachedCluster{c.ID, c.Name, c.State})
	}
	return p
}

// place is what is known of a profile and region; without a time when nothing is.
func (c clusterCache) place(profile, region string) cachedPlace {
	for _, p := range c.Places {
		if p.Profile == profile && p.Region == region {
			return p
		}
	}
	return cachedPlace{Profile: profile, Region: region}
}

// readClusterCache reads the lists. A file that cannot be read holds none.
func (a *app) readClusterCache() (c clusterCache) {
	path := a.statePath(clusterCacheFile)
	if info, err := os.Stat(path); err != nil || info.Size() > maxClusterCache || !info.Mode().IsRegular() {
		return clusterCache{}
	}
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &c) != nil {
		return clusterCache{}
	}
	return c
}

// rememberRows keeps what `clusters` has listed of a place.
func (a *app) rememberRows(ctx context.Context, place keeper.Target, rows []clusterRow) {
	profile, region, err := awsclient.Defaults(ctx, awsclient.Options{Profile: place.Profile, Region: place.Region})
	if err != nil {
		return
	}
	var list []awsclient.ClusterSummary
	for _, r := range rows {
		if (awsclient.Cluster{State: r.State}).Active() {
			list = append(list, awsclient.ClusterSummary{ID: r.ID, Name: r.Name, State: r.State})
		}
	}
	a.rememberClusters(newCachedPlace(profile, region, list))
}

// rememberClusters keeps a list. When that fails, the next completion asks again.
func (a *app) rememberClusters(p cachedPlace) {
	dir, err := config.StateDir()
	if err != nil {
		return
	}
	c := a.readClusterCache()
	c.Places = slices.DeleteFunc(c.Places, func(o cachedPlace) bool { return o.Profile == p.Profile && o.Region == p.Region })
	c.Places = append([]cachedPlace{p}, c.Places...)
	c.Places = c.Places[:min(len(c.Places), maxCachedPlaces)]
	data, err := json.Marshal(c)
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(dir, ".clusters-*") // mode 0600
	if err != nil {
		return
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed, and that is meant
	_, err = f.Write(append(data, '\n'))
	if closed := f.Close(); err == nil && closed == nil {
		_ = os.Rename(f.Name(), filepath.Join(dir, clusterCacheFile))
	}
}
