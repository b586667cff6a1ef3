package main

import (
	"net/netip"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// Packets to the node that leave by another address than those to the sources are a reason why a rule does not help.
func TestLookAtEgress(t *testing.T) {
	det, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	home, vpn := netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("10.8.0.2")
	towardsNode := home
	det.LocalAddr = func(ipwatch.Family, netip.Addr) (netip.Addr, error) { return towardsNode, nil }
	o := ipwatch.Observation{Family: ipwatch.V4, Setting: ipwatch.Setting{Mode: ipwatch.ModeAuto}}
	for _, op := range []string{"aws", "cloudflare", "ipify"} {
		o.Answers = append(o.Answers, ipwatch.Answer{Source: ipwatch.Source{Name: op, Operator: op}, Addr: netip.MustParseAddr("93.184.216.34"), Local: home})
	}
	cfg := config.Default()
	cfg.Address.STUN = nil // nobody is asked
	d := &doctor{app: &app{cfg: cfg}, det: det, seen: map[ipwatch.Family]ipwatch.Observation{ipwatch.V4: o}}
	p := &patient{doctor: d, target: keeper.Target{Label: "j-1"}, host: netip.MustParseAddrPort("203.0.113.10:22")}
	p.lookAtEgress(t.Context()).expect(t, "one way", stateOK, "leave as those to the sources do")
	if me, why := p.ownAddress(); me != netip.MustParseAddr("93.184.216.34") {
		t.Errorf("%v: %s", me, why)
	}
	towardsNode = vpn
	p.lookAtEgress(t.Context()).expect(t, "a VPN", stateBad, "10.8.0.2", "if you find that right")
	p.host = netip.AddrPort{}
	p.lookAtEgress(t.Context()).expect(t, "a name", stateUnknown)
	p.target.Local = true
	if me, why := p.ownAddress(); me.IsValid() || why == "" {
		t.Errorf("%v: %s", me, why)
	}
}
