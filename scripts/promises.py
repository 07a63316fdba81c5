"""Write the table of promises and planted bugs into `docs/guides/testing.md`, as the registry has it today."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "guides" / "testing.md"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    from support.mutant_registry import with_table

    GUIDE.write_text(with_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{GUIDE.relative_to(ROOT)} lists the planted bugs of today")
