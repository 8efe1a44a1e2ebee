"""In which numbers and where a model can be computed: (what the engine calls it, title, help)."""

DTYPES: tuple[tuple[str, str, str], ...] = (
    ("auto", "best numbers", "float32 on a processor, bfloat16 on a GPU"),
    ("float32", "float32", "Exact, four bytes a number"),
    ("bfloat16", "bfloat16", "Half the memory, three digits"),
    ("float16", "float16", "Half the memory; large numbers overflow in some models"),
    ("8bit", "8 bit", "A quarter of the memory, rounded (bitsandbytes)"),
    ("4bit", "4 bit", "An eighth of the memory, coarsely rounded (bitsandbytes)"),
)
DEVICES: tuple[tuple[str, str, str], ...] = (
    ("auto", "best device", "A GPU if there is one"),
    ("cpu", "processor", "In the computer's own memory"),
    ("cuda", "GPU", "In the memory of an NVIDIA or AMD GPU"),
    ("mps", "Apple GPU", "On Apple silicon"),
    ("spread", "spread", "Over GPUs, memory and disk: slow, for models that fit nowhere else"),
)
