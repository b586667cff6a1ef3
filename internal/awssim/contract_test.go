package awssim_test

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

// contractCase is one fact about AWS that the program relies on or that the simulation promises. The same case runs
// against awssim and against moto_server, both over a loopback socket through the real SDK.
type contractCase struct {
	name string
	// evidence says where the fact about AWS is known from: an API page, the SDK's documentation ("SDK"), or a
	// third party that observed AWS.
	evidence string
	// moto is the reason why the case cannot run on moto_server; "" runs it there.
	moto string
	run  func(t *testing.T, w *world)
}

// minMotoShare is how much of the suite has to run on the independent peer for its word to count.
const minMotoShare = 0.6

func contractCases() []contractCase {
	return slices.Concat(stsCases(), emrCases(), groupCases(), authorizeCases(), authorizeRefusals(), describeCases(),
		modifyCases(), revokeCases(), tagCases(), dryRunCases(), quotaCases(), instanceCases(), prefixListCases(), auditCases(), pathCases())
}

// summary is printed at the end of the test binary, where -v is not needed to see it.
var summary string

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if summary != "" {
		fmt.Println(summary)
	}
	os.Exit(code)
}

func TestContract(t *testing.T) {
	t.Parallel() // with the aws CLI's processes
	cases := contractCases()
	names := map[string]bool{}
	onMoto := 0
	for _, c := range cases {
		if c.evidence == "" || names[c.name] {
			t.Errorf("case %q has no evidence, or its name is not its own", c.name)
		}
		names[c.name] = true
		if c.moto == "" {
			onMoto++
		}
	}
	share := float64(onMoto) / float64(len(cases))
	if share < minMotoShare {
		t.Errorf("only %.0f %% of the cases run on moto_server, at least %.0f %% must", 100*share, 100*minMotoShare)
	}
	t.Run("awssim", func(t *testing.T) {
		sim := awssim.New(awssim.Options{})
		server := httptest.NewServer(sim)
		t.Cleanup(server.Close)
		w := newWorld(t, server.URL, simMaker{sim})
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { c.run(t, w) })
		}
	})
	ranOnMoto := 0
	t.Run("moto", func(t *testing.T) {
		endpoint := mototest.Start(t)
		w := newWorld(t, endpoint, motoMaker{})
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				// MOTO_ALL=1 runs what is skipped too: a case that passes there has lost its reason.
				if c.moto != "" && os.Getenv("MOTO_ALL") != "1" {
					t.Skip("moto: " + c.moto)
				}
				ranOnMoto++
				c.run(t, w)
			})
		}
	})
	summary = fmt.Sprintf("contract suite: %d cases on awssim; on moto_server %d ran, %d skipped (%.0f %% ran)",
		len(cases), ranOnMoto, len(cases)-ranOnMoto, 100*float64(ranOnMoto)/float64(len(cases)))
	t.Log(summary)
}
