# Shortcuts; everything works without make as well.
.PHONY: demo test unit lint build
demo:
	go run ./cmd/stillpoint-demo
build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/stillpoint ./cmd/stillpoint
test:
	scripts/test
unit:
	scripts/test unit
lint:
	scripts/test lint
