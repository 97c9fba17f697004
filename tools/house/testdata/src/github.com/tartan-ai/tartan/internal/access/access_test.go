package access

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
)

func inTest() {
	_ = time.Now()
	fmt.Println("fine in a test")
	assert.Equal(nil, 1, 1) // want "use require"
}
