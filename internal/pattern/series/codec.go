package series

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern/series/rocket"
	"github.com/tartan-ai/tartan/internal/pattern/series/warp"
)

const (
	// FeaturesVersion names what the features mean. A recogniser with another version is refused: its weights would be
	// about other numbers.
	FeaturesVersion = 1
	// MaxEncoded bounds an encoded recogniser: MaxClasses classes of 120 KB, their anchors, and what all share.
	MaxEncoded = 100 << 20

	magic     = "TARTANSR"
	format    = 1
	maxHeader = 4 << 20
)

// ErrVersion means that a recogniser was written by a Tartan whose format or features are others: train it again.
var ErrVersion = errors.New("the recogniser was written in another version: train it again")

// header is everything but the numbers in bulk, which follow it as float32.
type header struct {
	Classes     []Class    `json:"classes"`
	Method      Method     `json:"method"`
	Length      int        `json:"length"`
	Hold        bool       `json:"hold"`
	Own         bool       `json:"own"`
	Mean        float64    `json:"mean"`
	Deviation   float64    `json:"deviation"`
	Temperature float64    `json:"temperature"`
	Misfit      [2]float64 `json:"misfit"`
	Distance    [2]float64 `json:"distance"`
	Strange     int        `json:"strange"`
	Metrics     Metrics    `json:"metrics"`
	Labels      []int      `json:"labels"`  // of the anchors or of the examples
	Numbers     []int      `json:"numbers"` // of the anchors
	Window      int        `json:"window"`  // of warping
}

// Encode writes the recogniser. The bytes are the same for the same recogniser: little-endian, 120 KB a class and 51 KB
// for its anchors with features, 4 bytes a point without.
func (r *Recogniser) Encode() []byte {
	c := r.calibration
	h := header{
		Classes: r.classes, Method: r.method,
		Length: r.fitting.length, Hold: r.fitting.hold, Own: r.fitting.own, Mean: r.fitting.mean, Deviation: r.fitting.deviation,
		Temperature: c.temperature, Misfit: [2]float64{c.misfit.mean, c.misfit.deviation},
		Distance: [2]float64{c.distance.mean, c.distance.deviation}, Strange: len(c.strange), Metrics: r.metrics,
	}
	if r.method == Features {
		h.Labels, h.Numbers = r.anchors.labels, r.anchors.numbers
	} else {
		h.Labels, h.Window = r.labels, r.index.Window
	}
	text, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("series: a header of finite numbers and strings: %v", err))
	}
	out := append([]byte(magic), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint16(out[8:], format)
	binary.LittleEndian.PutUint16(out[10:], FeaturesVersion)
	binary.LittleEndian.PutUint32(out[12:], uint32(len(text)))
	out = append(out, text...)
	for _, part := range r.bulk() {
		for _, v := range part {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	return out
}

// bulk is the numbers in the order in which they are written.
func (r *Recogniser) bulk() [][]float32 {
	out := [][]float32{r.calibration.strange}
	if r.method == Nearest {
		for _, e := range r.examples {
			single := make([]float32, len(e))
			for i, v := range e {
				single[i] = float32(v)
			}
			out = append(out, single)
		}
		return out
	}
	for _, t := range r.views {
		out = append(out, t.Biases)
	}
	out = append(out, r.intercepts)
	out = append(out, r.weights...)
	out = append(out, r.anchors.inverse)
	return append(out, r.anchors.rows...)
}

// Decode reads what Encode wrote. It trusts nothing: every size is checked before it is used, and every number is
// finite. The error wraps ErrVersion for another version.
func Decode(data []byte) (*Recogniser, error) {
	if len(data) < 16 || string(data[:8]) != magic || len(data) > MaxEncoded {
		return nil, fmt.Errorf("%d bytes are no recogniser", len(data))
	}
	if f, v := binary.LittleEndian.Uint16(data[8:]), binary.LittleEndian.Uint16(data[10:]); f != format || v != FeaturesVersion {
		return nil, fmt.Errorf("format %d, features %d: %w", f, v, ErrVersion)
	}
	size := int(binary.LittleEndian.Uint32(data[12:]))
	if size > maxHeader || size > len(data)-16 {
		return nil, fmt.Errorf("a header of %d bytes in %d", size, len(data))
	}
	var h header
	d := json.NewDecoder(bytes.NewReader(data[16 : 16+size]))
	if err := d.Decode(&h); err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the header is followed by text")
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	r := h.recogniser()
	if err := r.fill(h, &reader{data: data[16+size:]}); err != nil {
		return nil, err
	}
	return r, nil
}

// check refuses a header that does not hold together.
func (h *header) check() error {
	switch {
	case len(h.Classes) < 1 || len(h.Classes) > MaxClasses:
		return fmt.Errorf("%d classes: want 1 to %d", len(h.Classes), MaxClasses)
	case h.Length < minLength || h.Length > MaxLength:
		return fmt.Errorf("windows of %d points: want %d to %d", h.Length, minLength, MaxLength)
	case h.Temperature <= 0 || h.Deviation < 0 || h.Misfit[1] < 0 || h.Distance[1] < 0:
		return errors.New("a deviation or temperature is negative")
	case h.Strange < 0 || h.Window < 0 || h.Window > MaxLength:
		return errors.New("a count is negative or too large")
	case h.Method != Features && h.Method != Nearest:
		return fmt.Errorf("method %q is not known", h.Method)
	case h.Method == Features && len(h.Numbers) != len(h.Labels):
		return errors.New("anchors without numbers")
	case len(h.Labels) == 0 || len(h.Labels) > len(h.Classes)*max(maxAnchors, FewExamples):
		return fmt.Errorf("%d examples of %d classes", len(h.Labels), len(h.Classes))
	}
	for _, c := range h.Classes {
		if c.Name == "" {
			return errors.New("a class has no name")
		}
	}
	if slices.ContainsFunc(h.Labels, func(l int) bool { return l < 0 || l >= len(h.Classes) }) {
		return errors.New("an example is of no class")
	}
	return nil
}

func (h *header) recogniser() *Recogniser {
	return &Recogniser{
		classes: h.Classes, method: h.Method, metrics: h.Metrics,
		fitting: fitting{length: h.Length, hold: h.Hold, own: h.Own, mean: h.Mean, deviation: h.Deviation},
		calibration: calibration{
			temperature: h.Temperature, misfit: usual{h.Misfit[0], h.Misfit[1]}, distance: usual{h.Distance[0], h.Distance[1]},
		},
	}
}

// reader takes float32 off a slice of bytes; after the first fault it stays faulty.
type reader struct {
	data []byte
	err  error
}

func (r *reader) take(n int) []float32 {
	if r.err == nil && n > len(r.data)/4 {
		r.err = fmt.Errorf("%d bytes are left for %d numbers", len(r.data), n)
	}
	if r.err != nil {
		return nil
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.data[4*i:]))
		if v := float64(out[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			r.err = errors.New("a number is not finite")
		}
	}
	r.data = r.data[4*n:]
	return out
}

// fill reads the numbers in bulk.
func (r *Recogniser) fill(h header, in *reader) error {
	r.calibration.strange = in.take(h.Strange)
	if h.Method == Nearest {
		r.labels = h.Labels
		for range h.Labels {
			single := in.take(h.Length)
			e := make([]float64, len(single))
			for i, v := range single {
				e[i] = float64(v)
			}
			r.examples = append(r.examples, e)
		}
	} else {
		r.fillFeatures(h, in)
	}
	if in.err != nil {
		return in.err
	}
	if len(in.data) != 0 {
		return fmt.Errorf("%d bytes follow the recogniser", len(in.data))
	}
	if h.Method == Nearest {
		r.index = warp.NewIndex(r.examples, h.Window)
	}
	return nil
}

func (r *Recogniser) fillFeatures(h header, in *reader) {
	for v := range r.views {
		biases := in.take(rocket.Full)
		if in.err != nil {
			return
		}
		r.views[v], in.err = rocket.New(viewLength(h.Length, v), biases)
	}
	r.intercepts = in.take(len(h.Classes))
	for range h.Classes {
		r.weights = append(r.weights, in.take(views*rocket.Full))
	}
	r.anchors = &anchors{labels: h.Labels, numbers: h.Numbers, inverse: in.take(picked)}
	for range h.Labels {
		r.anchors.rows = append(r.anchors.rows, in.take(picked))
	}
}

// Bytes is about how much memory the recogniser takes.
func (r *Recogniser) Bytes() int {
	n := 1 << 12
	for _, part := range r.bulk() {
		n += 4 * len(part)
	}
	if r.method == Nearest {
		n *= 8 // double precision, and two envelopes
	}
	return n
}
