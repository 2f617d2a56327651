"""Texts of JSON values of all kinds, right and wrong, to be the values of fields in bodies."""

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
NUMBERS = (
    "0", "-0", "-0.0", "1", "1.0", "1.5", "-1", "1e0", "1E2", "1e400", "-1e400", "1E-400", "0.1234567", "100.0000001",
    "32767", "32768", "2147483647", "2147483648", "9007199254740991", "9007199254740993", "18446744073709551616",
    "123456789012345678901234567890", "9" * 310, "9" * 4400, "01", "1.", ".5", "+1", "NaN", "-Infinity", "0x1",
)  # fmt: skip
TEXTS = (
    '""', '"t"', '"é"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\U0001f600"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud800x"',
    '"a\\u0000b"', '"\\\\u0000"', '"a\\nb"', '"a\nb"', '"\x7f"', '"\\u0085"', '"\\/"', '"\\x"', '"\u2028"', '".."',
    '"../x"', '"x/pause"', '"x/./y"', '"/"', '"completed"', '"Completed"', '"info"', '"complete"', '"fail"', '"true"',
    '"2026-01-01T00:00:00Z"', '"2026-01-01t02:00:00.123456789+02:00"', '"2026-01-01T00:00:00"',
    '"2026-02-30T00:00:00Z"',
    '"1969-12-31T23:59:59Z"', '"9999-12-31T23:59:59Z"', '"2025-01-01T00:00:00Z"', f'"{UNKNOWN}"',
    f'"{UNKNOWN.upper()}"',
    f'"{UNKNOWN.replace("-", "")}"', f'"{{{UNKNOWN}}}"', *(f'"{letter * length}"' for letter in ("x", "\U0001f600")
    for length in (64, 65, 255, 256, 4096, 4097, 16384, 16385)),
)  # fmt: skip
CONTAINERS = (
    "[]", "{}", "[1]", '[""]', "[null]", "[[]]", "[1,]", '{"a":1,}', '{"a":1,"a":2}', '{ "a" : [ 1 , 2.50 ] }',
    '{"a":"b"}', '{"a":"b","a":"c"}', '{"":"b"}', '{"a":null}', '{"a":"a\\u0000"}', '{"\\u0000":"a"}', '{"a":1e400}',
    '{"a":1e400,"a":1}', '{"a":[1e5,1E22,0.1,-0.0,-0,1.0]}', '{"é":"\\u2028\\u00e9"}',
    *("[" * depth + "]" * depth for depth in (40, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 100, 1200)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (50, 56, 58, 60, 61, 62, 63)),
    *(f'{{"{"k" * length}":"v"}}' for length in (64, 65, 255, 256, 257, 300)),
    *(f'{{"{"é" * length}":"v"}}' for length in (64, 65, 127, 128, 129, 255)),
    *(f'{{"{chr(0x1f600) * length}":1}}' for length in (63, 64, 65)),
    "{" + ",".join(f'"{n}":"v"' for n in range(50)) + "}", "{" + ",".join(f'"{n}":"v"' for n in range(51)) + "}",
    "[" + ",".join(["1"] * 5000) + "]", '{"x":"' + "y" * 4090 + '"}', '{"x":"' + "y" * 4080 + '"}',
)  # fmt: skip
OBJECTS = (
    '[{"key":"a"}]', '[{"key":"a"},{"key":"a"}]', '[{"key":"a","key":"b"}]', '[{"key":"a","size_bytes":1.0}]',
    '[{"key":"a","name":null,"uri":"u","size_bytes":9007199254740991}]', '[{"key":""}]', '[{"key":"a","more":1}]',
    '[{"key":"a","status":"failed","result":{"a":[1e5]},"message":"m","error_code":"c"}]',
    '[{"key":"a","status":"no"}]',
    '[{"key":"a","status":null,"result":"' + "y" * 4094 + '"}]', '[{"key":"a","result":"' + "y" * 4095 + '"}]',
    '[{"key":"a","result":' + "[" * 58 + "]" * 58 + "}]", '[{"key":"a","result":' + "[" * 59 + "]" * 59 + "}]",
    "[" + ",".join(f'{{"key":"{n}"}}' for n in range(1001)) + "]", '[{"message":"m","level":"debug"}]',
    '[{"message":"m","level":"loud"}]', '[{"message":"m","at":"2026-01-01T00:00:00Z"}]', '[{"message":"m","at":"now"}]',
    '{"worker":"w"}', '{"worker":"w","lease_seconds":null}', '{"worker":"w","lease_seconds":0}', '{"worker":1}',
    '{"worker":"w","lease_seconds":60.0}', '{"delay_seconds":1}', '{"delay_seconds":-0.0,"factor":1.5}',
    '{"delay_seconds":1.23456789,"max_delay_seconds":604800}', '{"factor":0.5}', '{"factor":null}', '{"x":1}',
)  # fmt: skip
VALUES = ("null", "true", "false", "", "nul", *NUMBERS, *TEXTS, *CONTAINERS, *OBJECTS)
