package template

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// A text is hashed eight bytes at a time; the one to seven bytes at its end are spread over eight first.

const (
	k1 = 0x9E3779B97F4A7C15
	k2 = 0xff51afd7ed558ccd
	k3 = 0xc4ceb9fe1a85ec53
)

// secret seeds the proof of a shape. It is another one in each process, so that nobody can make two shapes with one proof.
var secret = [2]uint64{rand.Uint64(), rand.Uint64()}

// mixAt spreads the hash of a token over its place, so that sums over tokens tell order apart.
func mixAt(h uint64, i int) uint64 {
	x := (h ^ uint64(i+1)*k1) * k2
	return (x ^ x>>32) * k3
}

// finish makes an id of the sums of a shape.
func finish(sum, skel uint64) ShapeID {
	x := (sum ^ bits.RotateLeft64(skel, 23)) * k2
	x = (x ^ x>>29) * k3
	x ^= x >> 32
	if x == 0 {
		return 1
	}
	return ShapeID(x)
}

func hashBytes(b []byte) uint64 {
	h := uint64(len(b)) * k1
	for len(b) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(b)) * k2
		h ^= h >> 29
		b = b[8:]
	}
	if len(b) > 0 {
		h = (h ^ spread(load(b, 0), len(b))) * k2
		h ^= h >> 29
	}
	return h
}

// spread makes of the first n bytes of x, 1 to 8, what hashBytes takes for the end of a text.
func spread(x uint64, n int) uint64 {
	top := 8 * uint(n)
	long := x&0xffffffff | x>>((top-32)&63)<<32
	short := x&0xff | x>>(top>>1&24)&0xff<<8 | x>>((top-8)&63)&0xff<<16
	isShort := uint64(int64(n-4) >> 63) // not a branch: lengths cannot be foretold
	return long&^isShort | short&isShort
}

// load returns eight bytes of b from i on, the first in the lowest byte, with zeros behind the end.
func load(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:])
	}
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b[len(b)-8:]) >> (8 * uint(i+8-len(b)))
	}
	var x uint64
	for k := len(b) - 1; k >= i; k-- {
		x = x<<8 | uint64(b[k])
	}
	return x
}

const (
	lows  = 0x0101010101010101
	highs = 0x80 * lows
)

// letters returns how many ASCII letters stand at the front of eight bytes.
func letters(x uint64) int {
	y := x | 0x20*lows
	z := y &^ highs
	return bits.TrailingZeros64((z+0x1f*lows)&^(z+0x05*lows)&^y&highs^highs) >> 3
}

// decimal returns how many decimal digits and dots stand at the front of eight bytes, and which of these are dots.
func decimal(x uint64) (n int, dots uint) {
	y, z := x^'0'*lows, x^'.'*lows
	noDot := (z&^highs + 0x7f*lows | z) & highs
	n = bits.TrailingZeros64((y&^highs+0x76*lows|y)&noDot) >> 3
	dots = uint((noDot^highs)>>7*0x0102040810204080>>56) & (1<<n - 1)
	return n, dots
}

// hexes returns how many hex digits stand at the front of eight bytes, and which of these are letters.
func hexes(x uint64) (n int, alpha uint) {
	y, z := x^'0'*lows, (x|0x20*lows)&^highs
	noFigure := y&^highs + 0x76*lows | y
	isAlpha := (z + 0x1f*lows) &^ (z + 0x19*lows) &^ x & highs
	n = bits.TrailingZeros64(noFigure&highs&^isAlpha) >> 3
	return n, uint(isAlpha>>7*0x0102040810204080>>56) & (1<<n - 1)
}

// allHexes reports whether eight bytes are hex digits.
func allHexes(x uint64) bool {
	y, z := x^'0'*lows, (x|0x20*lows)&^highs
	noFigure := y&^highs + 0x76*lows | y
	isAlpha := (z + 0x1f*lows) &^ (z + 0x19*lows) &^ x
	return noFigure&^isAlpha&highs == 0
}

// untilQuote returns how many of eight bytes stand before the first that is white space, a backslash or the quote q.
func untilQuote(x uint64, q byte) int {
	a, b := x^uint64(q)*lows, x^'\\'*lows
	return bits.TrailingZeros64(((a-lows)&^a|(b-lows)&^b|(x-0x21*lows)&^x)&highs) >> 3
}

// fold adds x to a proof.
func fold(proof, x uint64) uint64 {
	hi, lo := bits.Mul64(proof, x)
	return hi ^ lo
}

// foldBytes adds the text of a token to a proof.
func foldBytes(proof uint64, b []byte) uint64 {
	y := uint64(len(b)) * k1
	for len(b) > 8 {
		proof = fold(proof, binary.LittleEndian.Uint64(b)^secret[1])
		b = b[8:]
	}
	if len(b) > 0 {
		y ^= spread(load(b, 0), len(b))
	}
	return fold(proof, y^secret[0])
}

// foldSlot adds a bare slot to a proof: what foldBytes makes of its control byte.
func foldSlot(proof uint64, k kind) uint64 { return fold(proof, k1^uint64(k)*0x10101^secret[0]) }

// slotHash is the token hash of a bare slot of the kind.
func slotHash(k kind) uint64 { return uint64(k)*k3 + k1 }
