module github.com/tartan-ai/tartan/bench

go 1.26.0

require (
	github.com/faceair/drain v0.0.0-20220227014011-bcc52881b814
	github.com/stretchr/testify v1.12.1
	github.com/tartan-ai/tartan v0.0.0
)

require (
	github.com/hashicorp/golang-lru v0.5.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/tartan-ai/tartan => ../
