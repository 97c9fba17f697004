package routing

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"
)

const (
	gramBits = 18  // a gram is a hash of this many bits: about 260,000 places for what 10,000 prompts say
	maxGrams = 384 // of one prompt; a longer one is sampled
	maxBytes = 64 << 10
	shapes   = 10 // numbers in Shape
)

// Features are what is known of a prompt: which words, word pairs and character 4-grams it has, as hashes, and its shape.
// They cost at most 2 KB and do not say the prompt.
type Features struct {
	Grams []uint32        // ascending, each once, below 1<<18, at most 384
	Shape [shapes]float32 // logarithms of counts and shares: length, digits, lines, code, capitals, ...
}

// Featurize takes the first 64 KiB of a prompt apart. Of a long one it keeps those grams whose hash is smallest, which are the
// same ones in every prompt, so that two long prompts stay comparable. It costs about 100 ns a word.
func Featurize(prompt string) Features {
	if len(prompt) > maxBytes {
		prompt = prompt[:maxBytes]
	}
	var f Features
	grams := make([]uint32, 0, min(len(prompt)*2, 4096))
	var words, digits, numbers, lines, questions, symbols, capitals, letters, long int
	var previous, h uint32
	var window uint32 // last four letters of a word, one byte each
	size, number, gap := 0, false, true
	end := func() {
		if size == 0 {
			return
		}
		words++
		if size > 7 {
			long++
		}
		grams = append(grams, mix(h), mix(h*31+previous+0x9e3779b9))
		previous, h, window, size, number = h, 0, 0, 0, false
	}
	for _, r := range prompt {
		switch {
		case unicode.IsDigit(r):
			digits++
			if !number {
				end()
				numbers++
			}
			// A number is its count of digits: 17 and 42 are alike, 4 and 2026 are not.
			number = true
			size++
			h = 0x51ed270b + uint32(min(size, 6))
			gap = false
			continue
		case unicode.IsLetter(r):
			if number {
				end()
			}
			letters++
			if unicode.IsUpper(r) {
				capitals++
				r = unicode.ToLower(r)
			}
			h = (h ^ uint32(r)) * 16777619
			window = window<<8 | uint32(r)&0xff
			size++
			if size >= 4 {
				grams = append(grams, mix(window^0x68bc21eb))
			}
			gap = false
			continue
		}
		end()
		switch {
		case r == '\n':
			lines++
		case r == '?':
			questions++
		case unicode.IsSpace(r), r == '.', r == ',':
		default:
			symbols++
		}
		if !gap && r < utf8.RuneSelf && !unicode.IsSpace(r) {
			grams = append(grams, mix(uint32(r)*0x85ebca6b))
		}
		gap = true
	}
	end()
	f.Grams = sample(grams)
	total := float64(max(len(prompt), 1))
	log := func(n int) float32 { return float32(math.Log1p(float64(n))) }
	f.Shape = [shapes]float32{
		log(words), log(numbers), log(lines), log(questions), log(symbols), log(long),
		float32(float64(digits) / total), float32(float64(symbols) / total),
		float32(float64(capitals) / float64(max(letters, 1))), float32(float64(letters) / float64(max(words, 1)) / 10),
	}
	return f
}

// mix spreads a hash over all its bits, and keeps gramBits.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x7feb352d
	h ^= h >> 15
	h *= 0x846ca68b
	h ^= h >> 16
	return h & (1<<gramBits - 1)
}

// sample sorts grams, drops those that come again, and keeps the smallest.
func sample(grams []uint32) []uint32 {
	slices.Sort(grams)
	grams = slices.Compact(grams)
	return slices.Clone(grams[:min(len(grams), maxGrams)])
}

// MarshalBinary writes the features in about 2 bytes a gram.
func (f Features) MarshalBinary() ([]byte, error) { return f.appendTo(nil), nil }

func (f Features) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.Grams)))
	var last uint32
	for _, g := range f.Grams {
		b = binary.AppendUvarint(b, uint64(g-last))
		last = g
	}
	for _, s := range f.Shape {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s))
	}
	return b
}

// UnmarshalBinary reads what MarshalBinary wrote. The error says that the bytes are something else.
func (f *Features) UnmarshalBinary(b []byte) error {
	rest, err := f.readFrom(b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("read features: %d bytes too many", len(rest))
	}
	return err
}

func (f *Features) readFrom(b []byte) ([]byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxGrams {
		return nil, fmt.Errorf("read features: no count of grams below %d", maxGrams+1)
	}
	b = b[size:]
	grams := make([]uint32, n)
	var last uint64
	for i := range grams {
		d, size := binary.Uvarint(b)
		last += d
		if size <= 0 || d >= 1<<gramBits || last >= 1<<gramBits || (i > 0 && d == 0) {
			return nil, fmt.Errorf("read features: gram %d of %d is not there or out of order", i+1, n)
		}
		grams[i], b = uint32(last), b[size:]
	}
	if len(b) < 4*shapes {
		return nil, fmt.Errorf("read features: the shape is cut short")
	}
	var shape [shapes]float32
	for i := range shape {
		s := math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		if s != s || s < 0 || s > 1e3 {
			return nil, fmt.Errorf("read features: number %d of the shape is %v", i+1, s)
		}
		shape[i] = s
	}
	if n == 0 {
		grams = nil
	}
	f.Grams, f.Shape = grams, shape
	return b[4*shapes:], nil
}

// MarshalText writes the bytes of MarshalBinary in base64, so that JSON stays small.
func (f Features) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, f.appendTo(nil)), nil
}

// UnmarshalText reads what MarshalText wrote; nothing is the features of an empty prompt.
func (f *Features) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*f = Features{}
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("read features: %w", err)
	}
	return f.UnmarshalBinary(b)
}
