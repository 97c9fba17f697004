package injection

// gramBits is how many bits a set of grams has.
const gramBits = 1 << 14

// grams is the set of all three bytes in a row of a text, each a bit. It says of most words that a text does not hold them,
// without a search for each.
type grams [gramBits / 64]uint64

func gramOf(a, b, c byte) uint32 {
	return (uint32(a)<<16 | uint32(b)<<8 | uint32(c)) * 2654435761 >> 18
}

func gramsOf(s string) *grams {
	var g grams
	for i := 2; i < len(s); i++ {
		n := gramOf(s[i-2], s[i-1], s[i])
		g[n/64] |= 1 << (n % 64)
	}
	return &g
}

// mayHold is false where the text does not hold the word.
func (g *grams) mayHold(word string) bool {
	for i := 2; i < len(word); i++ {
		n := gramOf(word[i-2], word[i-1], word[i])
		if g[n/64]&(1<<(n%64)) == 0 {
			return false
		}
	}
	return true
}
