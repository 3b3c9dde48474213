// Package roadrunner tests rr-pgpool under RoadRunner: its plugins service, server, http and rpc,
// real PHP workers, a real PostgreSQL.
package roadrunner

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestWorkersRetryUntilThePoolIsUp(t *testing.T) {
	rr := start(t, unchanged)
	// The very first request that RoadRunner takes succeeds, though the pool may still be starting.
	var status int
	var body string
	eventually(t, "RoadRunner takes requests", func() bool {
		var err error
		status, body, err = rr.get("/")
		return err == nil
	})
	if status != http.StatusOK || body != "42" {
		t.Fatalf("%d %s", status, body)
	}
}

func TestStopCompletesEveryRequestInFlight(t *testing.T) {
	db := database(t)
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS transfers (id text)"); err != nil {
		t.Fatal(err)
	}
	rr := start(t, unchanged)
	rr.answers()
	var requests sync.WaitGroup
	failures := make(chan string, 4)
	for n := range 4 {
		requests.Go(func() {
			path := fmt.Sprintf("/slow?id=%d", n)
			if n%2 == 1 {
				path = fmt.Sprintf("/transfer?id=%s-%d", rr.http, n)
			}
			status, body, err := rr.get(path)
			if err != nil || status != http.StatusOK {
				failures <- fmt.Sprintf("%s: %d %s %v", path, status, body, err)
			}
		})
	}
	eventually(t, "all four are at the database", func() bool {
		var running int
		query := "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
		return db.QueryRow(query).Scan(&running) == nil && running >= 3
	})
	stopped := time.Now()
	rr.stop()
	requests.Wait()
	close(failures)
	for failure := range failures {
		t.Error(failure)
	}
	if code := rr.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(stopped); took > 10*time.Second {
		t.Errorf("it took %s, more than timeout_stop_sec", took)
	}
	if left := rr.services(); len(left) > 0 {
		t.Errorf("orphans: %v", left)
	}
	var committed int
	query := "SELECT count(*) FROM transfers WHERE id LIKE $1"
	if err := db.QueryRow(query, rr.http+"-%").Scan(&committed); err != nil || committed != 2 {
		t.Errorf("%d committed, %v", committed, err)
	}
}

func TestAKilledPoolIsStartedAgain(t *testing.T) {
	rr := start(t, unchanged)
	rr.answers()
	before := rr.services()
	if len(before) != 1 {
		t.Fatalf("processes: %v", before)
	}
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process has taken its place", func() bool {
		now := rr.services()
		return len(now) == 1 && now[0] != before[0]
	})
	rr.answers()
}

func TestAKilledRoadRunnerTakesThePoolWithIt(t *testing.T) {
	rr := start(t, unchanged)
	rr.answers()
	if err := rr.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rr.exit()
	eventually(t, "the pool has ended, too", func() bool { return len(rr.services()) == 0 })
}

func TestAWrongConfigurationShowsInRoadRunnersOutput(t *testing.T) {
	rr := start(t, func(config string) string {
		return strings.Replace(config, "  backends:\n", "  backend:\n", 1)
	})
	eventually(t, "the error is told", func() bool {
		log := rr.log.String()
		return strings.Contains(log, "pgpool.backend") && strings.Contains(log, "did you mean")
	})
}

func TestTwoProcessesAreRefusedByName(t *testing.T) {
	rr := start(t, func(config string) string {
		return strings.Replace(config, "process_num: 1", "process_num: 2", 1)
	})
	eventually(t, "the second process says what is wrong", func() bool {
		return strings.Contains(rr.log.String(), "is in use") &&
			strings.Contains(rr.log.String(), "set process_num: 1")
	})
	rr.answers()
}

// What a service writes at once is one entry of RoadRunner's log; within it every event of ours is a
// line, and every line an event.
func TestOneEventIsOneLine(t *testing.T) {
	rr := start(t, unchanged)
	rr.answers()
	event := regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+Z +(DEBUG|INFO|WARN|ERROR) \S`)
	var seen int
	eventually(t, "the pool's start is logged", func() bool {
		seen = 0
		for _, line := range strings.Split(rr.log.String(), "\n") {
			var entry struct{ Logger, Msg string }
			if json.Unmarshal([]byte(line), &entry) != nil || entry.Logger != "service" ||
				strings.HasPrefix(entry.Msg, "service was started") {
				continue
			}
			for _, line := range strings.Split(strings.TrimSpace(entry.Msg), "\n") {
				if !event.MatchString(line) {
					t.Fatalf("no event: %q", line)
				}
				seen++
			}
		}
		return seen >= 3
	})
}

func TestJSONPassesThroughRoadRunnersLogAsItIs(t *testing.T) {
	rr := start(t, func(config string) string {
		config = strings.Replace(config, "  output: stderr\n",
			"  output: stderr\n  channels:\n    service:\n      mode: raw\n      output: stderr\n", 1)
		return strings.Replace(config, "  proxy:\n", "  logging:\n    format: json\n  proxy:\n", 1)
	})
	rr.answers()
	eventually(t, "an event of ours is a line of its own", func() bool {
		for _, line := range strings.Split(rr.log.String(), "\n") {
			var event struct{ Message, Pool string }
			if json.Unmarshal([]byte(line), &event) == nil && event.Message == "pool" {
				return event.Pool == "primary"
			}
		}
		return false
	})
}
