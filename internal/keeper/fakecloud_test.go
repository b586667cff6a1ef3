package keeper_test

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// open is Keeper.Open.
func (w *world) open(ctx context.Context, profile, region string) (keeper.Cloud, error) {
	id, known := w.users[profile]
	id.Profile, id.Region = profile, region
	if region == "" {
		id.Region = "eu-west-1"
	}
	c := &cloud{w, id}
	return c, c.call(ctx, "open "+profile+"|"+region, func() error {
		if !known {
			return fmt.Errorf("no profile %q", profile)
		}
		return nil
	})
}

// cloud is one caller in one region.
type cloud struct {
	*world
	id keeper.Identity
}

func (c *cloud) Identity() keeper.Identity { return c.id }
func (c *cloud) Host() string              { return "ec2." + c.id.Region + ".amazonaws.com" }

// call makes a call: it is logged, may fail before its effect, and its answer may be lost after it.
func (c *cloud) call(ctx context.Context, name string, effect func() error) error {
	c.mu.Lock()
	c.calls = append(c.calls, name)
	c.times = append(c.times, stamp{name, time.Now()})
	fail, lose := c.fail, c.lose
	c.mu.Unlock()
	if fail != nil {
		if err := fail(ctx, name); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	err := c.halt
	if err == nil {
		err = effect()
	}
	c.record()
	c.mu.Unlock()
	if err == nil && lose != nil {
		err = lose(name)
	}
	return err
}

func (c *cloud) Resolve(ctx context.Context, t keeper.Target, was keeper.Before) (p keeper.Place, err error) {
	what := t.Cluster + t.SecurityGroup + t.NamePattern
	err = c.call(ctx, "resolve "+what, func() error {
		var ok bool
		if p, ok = c.places[what]; !ok {
			return fmt.Errorf("there is no %s", what)
		}
		c.was = append(c.was, was)
		if err := c.denyAnew; err != nil && !was.Stand {
			p = keeper.Place{}
			return err
		}
		if p.Looks = 0; was.Stand {
			p.Looks = was.Place.Looks + 1
		}
		return nil
	})
	return p, err
}

func (c *cloud) here(group string) error {
	if c.regions[group] != c.id.Region {
		return fmt.Errorf("there is no group %s in %s", group, c.id.Region)
	}
	return nil
}

func (c *cloud) Rules(ctx context.Context, group string) (v sgsync.View, err error) {
	v = sgsync.View{Group: group, Sent: c.clocks().Round(0)}
	err = c.call(ctx, "rules "+group, func() error {
		v.AWS = time.Now().Add(c.skew).UTC().Truncate(time.Second)
		for _, r := range c.visible() {
			if r.Group == group {
				v.Rules = append(v.Rules, r)
			}
		}
		return c.here(group)
	})
	return v, err
}

func (c *cloud) Tagged(ctx context.Context, key string) (rules []sgsync.Rule, err error) {
	err = c.call(ctx, "tagged "+c.id.Region, func() error {
		for _, r := range c.visible() {
			if _, ok := r.Tags[key]; ok && c.here(r.Group) == nil {
				rules = append(rules, r)
			}
		}
		return nil
	})
	return rules, err
}

func (c *cloud) Authorize(ctx context.Context, group string, n sgsync.NewRule) (r sgsync.Rule, err error) {
	err = c.call(ctx, fmt.Sprintf("authorize %s %s %d", group, n.CIDR, n.Port), func() error {
		if c.taken(group, n, "") {
			return sgsync.ErrDuplicate
		}
		id := c.insert(sgsync.Rule{Group: group, Protocol: "tcp", FromPort: n.Port, ToPort: n.Port, CIDR: n.CIDR.Masked(), Description: n.Description, Tags: maps.Clone(n.Tags)})
		r = c.rules[id]
		return c.here(group)
	})
	if err != nil {
		r = sgsync.Rule{}
	}
	return r, err
}

// change is a write on one rule.
func (c *cloud) change(ctx context.Context, name, id string, f func(*sgsync.Rule) error) error {
	return c.call(ctx, name, func() error {
		r, ok := c.rules[id]
		if !ok {
			return sgsync.ErrGone
		}
		r.Tags = maps.Clone(r.Tags)
		err := f(&r)
		if err == nil {
			c.rules[id] = r
		}
		return err
	})
}

func (c *cloud) Modify(ctx context.Context, group, id string, n sgsync.NewRule) error {
	return c.change(ctx, fmt.Sprintf("modify %s %s", id, n.CIDR), id, func(r *sgsync.Rule) error {
		if c.taken(group, n, id) {
			return sgsync.ErrDuplicate
		}
		r.CIDR, r.Description = n.CIDR, n.Description
		return nil
	})
}

func (c *cloud) Revoke(ctx context.Context, _, id string) error {
	return c.call(ctx, "revoke "+id, func() error {
		if _, ok := c.rules[id]; !ok {
			return sgsync.ErrGone
		}
		delete(c.rules, id)
		return nil
	})
}

func (c *cloud) Tag(ctx context.Context, id, key, value string) error {
	return c.change(ctx, "tag "+id, id, func(r *sgsync.Rule) error {
		if _, has := r.Tags[key]; !has && len(r.Tags) >= sgsync.MaxTags {
			return sgsync.ErrTagsFull
		}
		r.Tags[key] = value
		return nil
	})
}

func (c *cloud) Untag(ctx context.Context, id, key, value string) error {
	return c.change(ctx, "untag "+id, id, func(r *sgsync.Rule) error {
		if r.Tags[key] == value {
			delete(r.Tags, key)
		}
		return nil
	})
}
