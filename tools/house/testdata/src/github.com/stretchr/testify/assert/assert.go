package assert

func Equal(t, want, got any) bool { return want == got }
