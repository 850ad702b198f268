"""The real model as one that thinks: two of its special tokens begin and end a thought, and its template begins one.

It ends a thought about where it would end a line, as the end of a thought has the weights of that of a line, and more.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from damaged_models import STRING, Model, text
from llama_server import model_path

END_OF_THOUGHT_ID, END_OF_LINE_ID = 10, 198
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
_ROW_BYTES = 576 // 32 * 34
"""Of a token in the first tensor: in 8 bits, blocks of 32 numbers behind their scale."""
_MORE = 1.15


def write_thinking_model(path: Path) -> None:
    """Write it to a file."""
    whole = Model.read(model_path())
    named = {b"<issue_start>": b"<think>", b"<issue_closed>": b"</think>"}
    texts = [named.get(each, each) for each in whole.texts("tokenizer.ggml.tokens")]
    assert texts[END_OF_THOUGHT_ID] == b"</think>"
    assert whole.tensors.startswith(text("token_embd.weight"))
    thinking = whole.with_texts("tokenizer.ggml.tokens", texts).with_value(
        "tokenizer.chat_template", STRING, text(_TEMPLATE)
    )
    with model_path().open("rb") as source, path.open("w+b") as file:
        head = thinking.head()
        file.write(head)
        source.seek(-whole.data_bytes, 2)
        shutil.copyfileobj(source, file)
        file.seek(len(head) + END_OF_LINE_ID * _ROW_BYTES)
        row = file.read(_ROW_BYTES)
        file.seek(len(head) + END_OF_THOUGHT_ID * _ROW_BYTES)
        for at in range(0, _ROW_BYTES, 34):
            scale = struct.unpack_from("<e", row, at)[0]
            file.write(struct.pack("<e", scale * _MORE) + row[at + 2 : at + 34])
