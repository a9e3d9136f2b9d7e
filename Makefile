PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && \
	echo $$p && break; done)

# Each does what python -m helpers does by the same name, which is for systems without make too.
.PHONY: help run test test-long lab handout slides check guide site clean

help run test test-long lab handout slides check guide site clean:
	@$(or $(PYTHON),echo "No Python from 3.11 to 3.14 was found; try: make PYTHON=/path/to/python" >&2; false) -m helpers $@
