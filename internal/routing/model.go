// Package routing decides which model answers a request, and why. Models, their health and what was learned from outcomes
// come in; a ranked decision with its evidence goes out, the same one for the same seed. It calls no model, keeps no money
// and knows neither database nor clock: time is an argument.
package routing

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Money is micro-dollars: 1e-6 US dollars, so that sums are exact.
type Money int64

// USD writes an amount as dollars with six decimals.
func (m Money) USD() string {
	sign, v := "", int64(m)
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s$%d.%06d", sign, v/1e6, v%1e6)
}

// Capability is a set of what a model can do, or of what a request needs.
type Capability uint8

// What a model can do.
const (
	Chat Capability = 1 << iota
	Tools
	JSON
	Vision
	Embed
)

var capabilityNames = []string{"chat", "tools", "json", "vision", "embed"}

// ParseCapabilities reads names as String writes them. The error names the one that is not known.
func ParseCapabilities(names []string) (Capability, error) {
	var c Capability
next:
	for _, n := range names {
		for i, known := range capabilityNames {
			if n == known {
				c |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("capability %q is not one of %s", n, strings.Join(capabilityNames, ", "))
	}
	return c, nil
}

// Has says whether all of need are in the set.
func (c Capability) Has(need Capability) bool { return c&need == need }

// Names lists the set in a fixed order.
func (c Capability) Names() []string {
	names := make([]string, 0, bits.OnesCount8(uint8(c)))
	for i, n := range capabilityNames {
		if c&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// String writes the names with commas between them.
func (c Capability) String() string { return strings.Join(c.Names(), ",") }

// MarshalJSON writes the set as a list of names.
func (c Capability) MarshalJSON() ([]byte, error) { return json.Marshal(c.Names()) }

// UnmarshalJSON reads a list of names.
func (c *Capability) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	parsed, err := ParseCapabilities(names)
	*c = parsed
	return err
}

// Price is what a model costs, in micro-dollars per million tokens: $3 per million is 3,000,000.
type Price struct {
	InputPerMTok  Money `json:"input_per_mtok"`
	OutputPerMTok Money `json:"output_per_mtok"`
	// CachedPerMTok is the price of input the provider had in its cache; 0 means that of other input.
	CachedPerMTok Money `json:"cached_per_mtok,omitempty"`
}

// Cost is the price of tokens, rounded up to the micro-dollar. Cached tokens are part of input. Counts below 0 are 0; an
// amount beyond the range is the largest Money.
func (p Price) Cost(input, output, cached int) Money {
	in, out := uint64(max(input, 0)), uint64(max(output, 0))
	hit := min(uint64(max(cached, 0)), in)
	at := p.CachedPerMTok
	if at == 0 {
		at = p.InputPerMTok
	}
	var hi, lo uint64
	for _, part := range [3][2]uint64{{in - hit, uint64(max(p.InputPerMTok, 0))}, {hit, uint64(max(at, 0))}, {out, uint64(max(p.OutputPerMTok, 0))}} {
		h, l := bits.Mul64(part[0], part[1])
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
	}
	lo, carry := bits.Add64(lo, 1e6-1, 0)
	hi += carry
	if hi >= 1e6 {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, 1e6)
	return Money(min(q, math.MaxInt64))
}

// Model is one model of one provider, as the registry has it.
type Model struct {
	ID            string     `json:"id"` // "provider/name", unique
	Provider      string     `json:"provider"`
	Name          string     `json:"name"` // as the provider calls it
	Capabilities  Capability `json:"capabilities"`
	ContextTokens int        `json:"context_tokens"` // input and output together; 0 is not known
	MaxOutput     int        `json:"max_output"`     // tokens; 0 is not known
	Price         Price      `json:"price"`
	// Latency is how long an answer is expected to take before any was measured; 0 is not known.
	Latency  time.Duration `json:"latency,omitempty"`
	Disabled bool          `json:"disabled,omitempty"`
}

// Request is what is known of a call before a model is chosen. A request says all that Decide looks at, so that a decision
// can be made again.
type Request struct {
	ID      string `json:"id"`                // of the decision; seeds exploration
	Task    string `json:"task,omitempty"`    // what kind of work a workflow knows this to be, as "summarize"
	Pattern string `json:"pattern,omitempty"` // id of the pattern it is about
	// Features are of the prompt, by Featurize. The prompt itself is not needed, and so it need not be kept.
	Features Features `json:"features"`

	InputTokens int        `json:"input_tokens"` // estimated or counted
	MaxOutput   int        `json:"max_output"`   // tokens asked for; 0 means the model's own limit
	Needs       Capability `json:"needs"`
	MaxCost     Money      `json:"max_cost,omitempty"` // of the worst case; 0 is no limit
	// MaxLatency excludes models whose moving latency is above it; 0 is no limit.
	MaxLatency time.Duration `json:"max_latency,omitempty"`
	// Dial is from 0, the cheapest that may answer, to 1, the best whatever it costs.
	Dial    float64  `json:"dial"`
	Pinned  string   `json:"pinned,omitempty"`  // a model's id: it or nothing
	Exclude []string `json:"exclude,omitempty"` // ids of models already tried
	// Explore is the share of the caller's remaining exploration budget, in micro-dollars a decision may cost more than the
	// best choice would. 0 never explores.
	Explore Money `json:"explore,omitempty"`
}

// Expert is one source of a quality estimate.
type Expert struct {
	Name    string  `json:"name"`    // global, task, pattern, length, neighbours_8, ..., linear
	Quality float64 `json:"quality"` // its own estimate, 0..1
	Count   int     `json:"count"`   // outcomes behind it
	// Weight is how much of what it says, on the scale of logits and beyond the means before it, goes into the score: 0 is
	// nothing, 1 all of it.
	Weight float64 `json:"weight"`
}

// Choice is one model as Decide sees it for one request.
type Choice struct {
	Model    string        `json:"model"`
	Score    float64       `json:"score"`    // what the ranking is by: higher is better
	Quality  float64       `json:"quality"`  // expected, 0..1
	Spread   float64       `json:"spread"`   // standard error of Quality
	Cost     Money         `json:"cost"`     // expected
	Worst    Money         `json:"worst"`    // to reserve: all input at list price and all output that is allowed
	Latency  time.Duration `json:"latency"`  // expected; 0 is not known
	Health   string        `json:"health"`   // closed, half_open, open
	Outcomes int           `json:"outcomes"` // seen of this model
	Evidence []Expert      `json:"evidence,omitempty"`
}

// Refusal is a model that may not answer a request, and why.
type Refusal struct {
	Model  string `json:"model"`
	Reason string `json:"reason"`
}

// Decision is a ranking of the models that may answer, best first, with the reasons.
type Decision struct {
	ID       string    `json:"id"`
	Ranked   []Choice  `json:"ranked"`
	Refused  []Refusal `json:"refused,omitempty"`
	Explored bool      `json:"explored"` // the first is not the best by score: it was taken to learn about it
	// OutOfDomain says that the prompt is unlike those with outcomes, so that only the means of task and length count.
	OutOfDomain bool      `json:"out_of_domain"`
	Reason      string    `json:"reason"` // one sentence
	At          time.Time `json:"at"`
}

// Outcome is how a call went. Quality is of the answer; a call without one, as a failed call is, has Quality NaN or Class
// set, and teaches health and latency only.
type Outcome struct {
	Decision   string        `json:"decision"`
	Model      string        `json:"model"`
	Task       string        `json:"task,omitempty"`
	Pattern    string        `json:"pattern,omitempty"`
	Features   Features      `json:"features"`
	Quality    float64       `json:"quality"` // 0..1
	Judged     bool          `json:"judged"`  // Quality is known
	Source     string        `json:"source"`  // reported, schema, test, review, feedback
	Cost       Money         `json:"cost"`
	Latency    time.Duration `json:"latency"`
	FirstToken time.Duration `json:"first_token"`
	Class      Class         `json:"class,omitempty"` // empty: the call was answered
	At         time.Time     `json:"at"`
}

// Class is how a call failed. What is done about each is in ladder.go.
type Class string

// How a call fails.
const (
	Transient     Class = "transient"      // the same again may work
	Throttled     Class = "throttled"      // the provider asks to wait
	Silent        Class = "silent"         // no byte, or no first token, in time
	ContextLength Class = "context_length" // more tokens than the model takes
	ContentFilter Class = "content_filter" // the provider will not answer this
	Auth          Class = "auth"           // the key is refused
	Quota         Class = "quota"          // the account is used up
	BadRequest    Class = "bad_request"    // the request is at fault
	Cancelled     Class = "cancelled"      // the caller went away
)

// Blames says whether a failure counts against the health of the model that had it.
func (c Class) Blames() bool {
	switch c {
	case Transient, Silent, Throttled, Auth, Quota:
		return true
	}
	return false
}

// classes are all of them, in the order of their constants.
var classes = []Class{Transient, Throttled, Silent, ContextLength, ContentFilter, Auth, Quota, BadRequest, Cancelled}

// Known says whether the class is one of the constants, or empty: answered.
func (c Class) Known() bool { return c == "" || slices.Contains(classes, c) }

// Classes are the names of all classes.
func Classes() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = string(c)
	}
	return names
}
