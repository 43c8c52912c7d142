# make demo   install what is missing (Debian), build, run the main job on the digits
# make test   install what is missing, build, pass all tests
# make        build (build/ntk, build/libntk.so)
# make docs   the documentation site, build/docs/html (needs PyPI)
# make bench  speed of the kernels on this machine;  make sanitize  tests under ASan and UBSan
BUILD ?= build

build: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) $(MESON_ARGS)
	@ninja -C $(BUILD)

deps:
	@sh scripts/install-deps.sh

demo: build
	$(BUILD)/ntk demo --out ntk-demo

test: build
	@sh scripts/test.sh $(BUILD)

sanitize: deps
	@sh scripts/sanitize.sh

bench: build
	$(BUILD)/ntk bench

docs: build
	NTK_COMMAND=$(abspath $(BUILD))/ntk sh scripts/docs.sh $(BUILD)/docs

install: build
	meson install -C $(BUILD)
	@test -n "$(DESTDIR)" || PATH="$$PATH:/usr/sbin:/sbin" ldconfig || true # so that programs find the library

clean:
	rm -rf $(BUILD) build-sanitize

.PHONY: build deps demo test sanitize bench docs install clean
