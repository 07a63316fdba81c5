"""Every parser under attack, by name."""

from support import fuzz_doors, fuzz_durable, fuzz_native, fuzz_parity, fuzz_texts, fuzz_trust, fuzz_wires
from support.fuzz_support import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (fuzz_native, fuzz_wires, fuzz_texts, fuzz_parity, fuzz_trust, fuzz_durable, fuzz_doors)
    for target in module.TARGETS
}
