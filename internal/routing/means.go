package routing

// tally is the sum of the qualities of one model.
type tally struct {
	Sum   float64
	Count float64
}

func (t tally) shrunk(prior, strength float64) float64 {
	return (t.Sum + strength*prior) / (t.Count + strength)
}

// means are the qualities of models over all, by task and by pattern, each shrunk to the one before it.
type means struct {
	global   []tally
	tasks    map[string]int // row
	byTask   [][]tally
	patterns map[string]int
	byPat    [][]tally
	// strength is how many outcomes the mean above a task is worth: the spread of one outcome over that of tasks. Fitted.
	strength, patternStrength float64
}

const (
	maxTasks    = 4096
	maxPatterns = 16384
)

func newMeans() means {
	return means{tasks: map[string]int{}, patterns: map[string]int{}, strength: 8, patternStrength: 8}
}

func (m *means) grow(models int) {
	for len(m.global) < models {
		m.global = append(m.global, tally{})
	}
}

// row finds or makes the row of a name; -1 is no name, or one beyond the limit.
func row(rows map[string]int, table *[][]tally, name string, limit int) int {
	if name == "" {
		return -1
	}
	r, ok := rows[name]
	if !ok {
		if len(*table) >= limit {
			return -1
		}
		r = len(*table)
		rows[name] = r
		*table = append(*table, nil)
	}
	return r
}

func at(table [][]tally, row, model int) tally {
	if row < 0 || row >= len(table) || model >= len(table[row]) {
		return tally{}
	}
	return table[row][model]
}

func (m *means) add(task, pattern, model int, quality, times float64) {
	put := func(t *tally) { t.Sum += times * quality; t.Count += times }
	put(&m.global[model])
	for _, level := range []struct {
		table [][]tally
		row   int
	}{{m.byTask, task}, {m.byPat, pattern}} {
		if level.row < 0 {
			continue
		}
		r := level.table[level.row]
		for len(r) <= model {
			r = append(r, tally{})
		}
		put(&r[model])
		level.table[level.row] = r
	}
}

func lookup(rows map[string]int, name string) int {
	if r, ok := rows[name]; ok && name != "" {
		return r
	}
	return -1
}

// ofAll is the mean of a model, shrunk to that of all models, and that to one half.
func (m *means) ofAll(model int) float64 {
	var all tally
	for _, t := range m.global {
		all.Sum += t.Sum
		all.Count += t.Count
	}
	return m.global[model].shrunk(all.shrunk(0.5, 2), 2)
}

// hardness is how much better or worse than over all the models are at a task, together.
func (m *means) hardness(task int) float64 {
	if task < 0 {
		return 0
	}
	var sum, count float64
	for model, t := range m.byTask[task] {
		if t.Count > 0 {
			sum += t.Sum - t.Count*m.global[model].Sum/m.global[model].Count
			count += t.Count
		}
	}
	return sum / (count + m.strength)
}

// fit sets the strengths from the spread of the means of tasks beyond what chance gives (DerSimonian and Laird's moment
// estimator, pooled over models): with equal tasks a task's mean hardly counts, with unlike ones a few outcomes do.
func (m *means) fit() {
	m.strength = strengthOf(m.byTask, func(_, model int) float64 { return m.global[model].shrunk(0.5, 2) })
	m.patternStrength = strengthOf(m.byPat, func(_, model int) float64 { return m.global[model].shrunk(0.5, 2) })
}

func strengthOf(table [][]tally, center func(row, model int) float64) float64 {
	var between, within, weight, rows float64
	for r, tallies := range table {
		for model, t := range tallies {
			if t.Count < 2 {
				continue
			}
			c := center(r, model)
			d := t.Sum/t.Count - c
			between += t.Count * d * d
			within += c * (1 - c)
			weight += t.Count
			rows++
		}
	}
	if rows < 4 {
		return 8
	}
	variance := within / rows
	tau := (between - within) / weight // spread of tasks beyond chance
	if tau <= 0 {
		return 500
	}
	return max(1, min(500, variance/tau))
}
