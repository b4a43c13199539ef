"""Six languages' answers side by side."""


def differences(names, answers):
    """What differs from the first language, a line each; empty: the same bits.

    `answers`: by language, a (loss, gradient) pair of hexadecimal strings per name.
    """
    languages = list(answers)
    lines = []
    for index, name in enumerate(names):
        want = answers[languages[0]][index]
        for language in languages[1:]:
            for what, ours, theirs in zip(("loss", "gradient"), want, answers[language][index]):
                if ours != theirs:
                    lines.append(f"{name}: {what} of {languages[0]} {_around(ours, theirs)} of {language}")
    return lines


def _around(ours, theirs):
    first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    start = max(0, first - first % 16)
    return (
        f"has {len(ours) // 2} bytes, ...{ours[start:start + 16]} at byte {start // 2}, "
        f"against {len(theirs) // 2} bytes, ...{theirs[start:start + 16]}"
    )


def table(names, answers):
    """A line per request: its loss's bits, and of each language whether it has all bits."""
    languages = list(answers)
    width = max(len(name) for name in names)
    lines = [f"{'request':{width}}  {'loss':16}  gradient     " + "  ".join(f"{l:9}" for l in languages)]
    for index, name in enumerate(names):
        loss, gradient = answers[languages[0]][index]
        cells = [
            "same bits" if answers[language][index] == (loss, gradient) else "DIFFERS"
            for language in languages
        ]
        lines.append(
            f"{name:{width}}  {loss:16}  {len(gradient) // 2:>7} bytes  " + "  ".join(f"{c:9}" for c in cells)
        )
    return "\n".join(line.rstrip() for line in lines)
