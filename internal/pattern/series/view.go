package series

import "github.com/tartan-ai/tartan/internal/pattern/series/rocket"

// views are the representations of a window that features are taken of: as it is, its differences, which show fast
// detail (as in MultiRocket, C. W. Tan et al., DMKD 2022, section 3), and its running sum, which shows slow trends under
// noise. Each has the full set of features.
const views = 3

const (
	plain = iota
	differences
	sums
)

// view returns one representation of x, in single precision.
func view(x []float64, v int) []float32 {
	out := make([]float32, len(x))
	sum := 0.0
	for i, value := range x {
		switch v {
		case plain:
			out[i] = float32(value)
		case differences:
			if i > 0 {
				out[i-1] = float32(value - x[i-1])
			}
		case sums:
			sum += value
			out[i] = float32(sum)
		}
	}
	if v == differences {
		out = out[:len(out)-1]
	}
	return out
}

// viewLength is the length of a representation of windows of the given length.
func viewLength(length, v int) int {
	if v == differences {
		return length - 1
	}
	return length
}

// columns are one view of all windows and its transform.
type columns struct {
	*rocket.Transform
	windows [][]float32
	scratch *rocket.Scratch
}

func newColumns(windows [][]float64, v int, seed uint64) (*columns, error) {
	c := &columns{}
	for _, w := range windows {
		c.windows = append(c.windows, view(w, v))
	}
	var err error
	c.Transform, err = rocket.Fit(c.windows, rocket.Full, seed+uint64(v))
	if err != nil {
		return nil, err
	}
	c.scratch = c.NewScratch()
	return c, nil
}

// block computes block b of the features for every window.
func (c *columns) block(b int) [][]float32 {
	from, to := c.Block(b)
	rows := make([][]float32, len(c.windows))
	for i, w := range c.windows {
		rows[i] = make([]float32, to-from)
		c.ApplyBlock(b, w, c.scratch, rows[i])
	}
	return rows
}
