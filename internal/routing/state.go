package routing

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"
)

// stateVersion is of the form of saved states and of what features mean. One of another version is not read, and the
// outcomes are learned again.
const stateVersion = 1

// saved is a learner as it is written.
type saved struct {
	Version           int
	Models            []string
	Global            []tally
	Tasks, Patterns   map[string]int
	ByTask, ByPattern [][]tally
	Strengths         [2]float64
	Weights           [terms]float64
	Lessons           []byte
	Next, Due         int
	Columns           int // models the linear weights have room for
	Linear, Energy    []byte
	Count             float64
	Mean, M2          [shapes]float64
	Shaped            []byte
	Examples          []byte
	Norms             []byte
	Closest           []float32
	Familiar          float32
	Seen              uint64
	Rescale           int
	Random            []byte
}

// MarshalBinary writes all that was learned: about 1 KB a prompt, of ten models. A learner read from it goes on as this one would.
func (l *Learner) MarshalBinary() ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	random, err := l.random.MarshalBinary()
	if err != nil {
		return nil, err
	}
	s := saved{
		Version: stateVersion, Models: l.models, Global: l.means.global, Tasks: l.means.tasks, Patterns: l.means.patterns,
		ByTask: l.means.byTask, ByPattern: l.means.byPat, Strengths: [2]float64{l.means.strength, l.means.patternStrength},
		Weights: l.blend.weight, Next: l.blend.next, Due: l.blend.due, Columns: l.linear.models, Linear: floats(l.linear.weights),
		Energy: floats(l.linear.energy), Count: l.shaped.count, Mean: l.shaped.mean, M2: l.shaped.m2, Norms: floats(l.near.norms),
		Closest: l.closest, Familiar: l.familiar, Seen: l.seen, Rescale: l.rescale, Random: random,
	}
	lessons := make([]float32, 0, len(l.blend.lessons)*(terms+2))
	for i := range l.blend.lessons {
		o := &l.blend.lessons[i]
		lessons = append(append(append(lessons, o.base), o.term[:]...), o.truth)
	}
	s.Lessons = floats(lessons)
	var shaped []float32
	for m := range l.shaped.weights {
		shaped = append(append(shaped, l.shaped.weights[m][:]...), l.shaped.accumulated[m][:]...)
	}
	s.Shaped = floats(shaped)
	for i := range l.examples {
		e := &l.examples[i]
		s.Examples = binary.LittleEndian.AppendUint64(s.Examples, e.id)
		s.Examples = binary.AppendUvarint(s.Examples, uint64(e.task+1))
		s.Examples = binary.AppendUvarint(s.Examples, uint64(e.pattern+1))
		s.Examples = binary.AppendUvarint(s.Examples, uint64(len(e.quality)))
		s.Examples = append(s.Examples, floats(e.quality)...)
		s.Examples = e.features.appendTo(s.Examples)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		return nil, fmt.Errorf("save learned state: %w", err)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(b.Bytes(), nil), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. The error says that the bytes are damaged or of another version; the learner
// is then as before.
func (l *Learner) UnmarshalBinary(b []byte) error {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(512<<20))
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := r.DecodeAll(b, nil)
	if err != nil {
		return fmt.Errorf("read learned state: %w", err)
	}
	var s saved
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&s); err != nil {
		return fmt.Errorf("read learned state: %w", err)
	}
	if s.Version != stateVersion {
		return fmt.Errorf("read learned state: it is of version %d, this program reads %d", s.Version, stateVersion)
	}
	read, err := s.learner()
	if err != nil {
		return fmt.Errorf("read learned state: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.models, l.index, l.means, l.blend, l.linear, l.shaped, l.near = read.models, read.index, read.means, read.blend, read.linear, read.shaped, read.near
	l.examples, l.byID, l.closest, l.familiar, l.seen, l.rescale, l.random = read.examples, read.byID, read.closest, read.familiar, read.seen, read.rescale, read.random
	l.last = asked{}
	return nil
}

func (s *saved) learner() (*Learner, error) {
	models := len(s.Models)
	weights, energy, shaped, lessons, norms := unfloats(s.Linear), unfloats(s.Energy), unfloats(s.Shaped), unfloats(s.Lessons), unfloats(s.Norms)
	if len(s.Global) != models || s.Columns < models || s.Columns > models+8 || len(weights) != (rates*(s.Columns+1))<<bucketBits ||
		len(energy) != 1<<bucketBits || len(shaped) != models*4*shapes || len(lessons)%(terms+2) != 0 || len(lessons) > maxLessons*(terms+2) {
		return nil, fmt.Errorf("its parts do not fit together")
	}
	l := NewLearner(0)
	l.models = s.Models
	for i, id := range s.Models {
		l.index[id] = i
	}
	l.means.global, l.means.byTask, l.means.byPat = s.Global, s.ByTask, s.ByPattern
	if s.Tasks != nil {
		l.means.tasks = s.Tasks
	}
	if s.Patterns != nil {
		l.means.patterns = s.Patterns
	}
	l.means.strength, l.means.patternStrength = s.Strengths[0], s.Strengths[1]
	l.blend = blend{weight: s.Weights, next: s.Next, due: s.Due}
	for ; len(lessons) > 0; lessons = lessons[terms+2:] {
		l.blend.lessons = append(l.blend.lessons, lesson{lessons[0], [terms]float32(lessons[1:]), lessons[terms+1]})
	}
	if s.Next < 0 || s.Next > 0 && s.Next >= len(l.blend.lessons) {
		return nil, fmt.Errorf("its lessons have no place %d", s.Next)
	}
	l.linear = &linear{models: s.Columns, weights: weights, energy: energy}
	l.shaped = savedShape(s, shaped)
	if err := l.readExamples(s.Examples); err != nil {
		return nil, err
	}
	if len(norms) != len(l.examples) {
		return nil, fmt.Errorf("it has %d examples and %d norms", len(l.examples), len(norms))
	}
	l.near.norms = norms
	l.closest, l.familiar, l.seen, l.rescale = s.Closest, s.Familiar, s.Seen, s.Rescale
	return l, l.random.UnmarshalBinary(s.Random)
}

func savedShape(s *saved, numbers []float32) shaped {
	to := shaped{count: s.Count, mean: s.Mean, m2: s.M2}
	for ; len(numbers) > 0; numbers = numbers[4*shapes:] {
		to.weights = append(to.weights, [2 * shapes]float32(numbers))
		to.accumulated = append(to.accumulated, [2 * shapes]float32(numbers[2*shapes:]))
	}
	return to
}

func (l *Learner) readExamples(b []byte) error {
	for len(b) > 0 {
		if len(b) < 8 || len(l.examples) > maxExamples {
			return fmt.Errorf("example %d is cut short", len(l.examples))
		}
		e := example{id: binary.LittleEndian.Uint64(b)}
		b = b[8:]
		var part [3]uint64
		for i := range part {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return fmt.Errorf("example %d is cut short", len(l.examples))
			}
			part[i], b = v, b[n:]
		}
		e.task, e.pattern = int(part[0])-1, int(part[1])-1
		if e.task >= len(l.means.byTask) || e.pattern >= len(l.means.byPat) || part[2] > uint64(len(l.models)) || uint64(len(b)) < 4*part[2] {
			return fmt.Errorf("example %d is of a task, pattern or model that is not there", len(l.examples))
		}
		e.quality, b = unfloats(b[:4*part[2]]), b[4*part[2]:]
		var err error
		if b, err = e.features.readFrom(b); err != nil {
			return err
		}
		l.byID[e.id] = int32(len(l.examples))
		l.near.add(e.features.Grams)
		l.examples = append(l.examples, e)
	}
	return nil
}

func floats(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func unfloats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}
