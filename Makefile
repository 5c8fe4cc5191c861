# Short names for those who type make; ./parley does the work and needs no make.
.PHONY: run test check bench chaos doctor

run test check bench chaos doctor:
	./parley $@
