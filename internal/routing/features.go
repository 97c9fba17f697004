package routing

// Features are what is known of a prompt: its hashed n-grams with weights, and its length.
type Features struct {
	// Grams are hashes of words, word pairs and character 4-grams, ascending, each once.
	Grams []uint32 `json:"grams,omitempty"`
	Words int      `json:"words"`
}
