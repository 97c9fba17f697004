package search

import "math/bits"

// Lengths of documents are kept in a byte, as Lucene keeps them: exact below 40, with four significant bits above. What
// is lost costs no quality, and a table of 256 values a query takes the place of a division a posting.

// lengthCode rounds a length down to one of 256.
func lengthCode(n int) uint8 {
	if n < exactLengths {
		return uint8(n)
	}
	return uint8(exactLengths + floatCode(n-exactLengths))
}

// exactLengths is 255 less the greatest code of a float of 31 bits: so many codes are left over.
var exactLengths = 255 - floatCode(1<<31-1)

// floatCode is a float of 4 bits mantissa, the first of them implied where there is an exponent.
func floatCode(n int) int {
	width := bits.Len(uint(n))
	if width < 4 {
		return n
	}
	shift := width - 4
	return (n>>shift)&7 | (shift+1)<<3
}

// lengths are the lengths that the codes stand for.
var lengths = func() (out [256]float64) {
	for c := range out {
		out[c] = float64(c)
		if c >= exactLengths {
			f := c - exactLengths
			v := f & 7
			if shift := f>>3 - 1; shift >= 0 {
				v = (v | 8) << shift
			}
			out[c] = float64(exactLengths + v)
		}
	}
	return out
}()
