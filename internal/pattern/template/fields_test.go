package template

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// templatesOf mines messages and counts the lines of each template.
func templatesOf(messages []string) map[string]int {
	mined := NewOffline(TallyOptions{})
	for i, m := range messages {
		mined.Add([]byte(m), []byte(m), int64(i))
	}
	out, of := map[string]int{}, mined.Assign()
	for i := range messages {
		_, text := of(i)
		out[text]++
	}
	return out
}

// Records of many statements that differ in one key alone, which looks like a name, are as many patterns.
func TestFieldsOfARecordAreItsSkeleton(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var messages []string
	want := map[string]int{}
	for i := range 40 {
		key := fmt.Sprintf("order.%c%c_id", 'a'+i%26, 'a'+i/26)
		for range 5 {
			messages = append(messages, fmt.Sprintf(`msg="order placed" %s=%d user.name="%c%c"`, key, rnd.IntN(100), 'a'+rnd.IntN(26), 'a'+rnd.IntN(26)))
			want[fmt.Sprintf(`msg="order placed" %s=<*> user.name="<*>"`, key)]++
		}
	}
	rnd.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	require.Equal(t, want, templatesOf(messages))
}

// Where keys are without number they are values, so that a map from names to numbers is one pattern.
func TestKeysWithoutNumberAreValues(t *testing.T) {
	t.Parallel()
	var messages []string
	for i := range 3 * maxKeys {
		messages = append(messages, fmt.Sprintf("%c%c%c=%d count=1 kind=quota", 'a'+i%26, 'a'+i/26, 'a'+i%7, i))
	}
	require.Len(t, templatesOf(messages), 1)
}

// A statement that fails in many ways is a pattern for each.
func TestExceptionsTellStatementsApart(t *testing.T) {
	t.Parallel()
	var messages []string
	for i := range 60 {
		kind := []string{"java.io.IOException", "java.lang.IllegalStateException", "ValueError", "KeyError", "a.b.OopsException", "TypeError"}[i%6]
		messages = append(messages, fmt.Sprintf("cannot save order %d", i), fmt.Sprintf("cannot save order %d exception=%s", i, kind), fmt.Sprintf("cannot save order %d exception=a.B cause=%s", i, kind))
	}
	got := templatesOf(messages)
	require.Len(t, got, 13, "%v", got)
	require.Equal(t, 60, got["cannot save order <*>"])
	require.Equal(t, 10, got["cannot save order <*> exception=ValueError"])
}
