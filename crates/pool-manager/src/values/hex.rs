//! Hexadecimal bytes and the two spellings of `bytea`. It never fails on what it cannot read: it
//! says so.

/// The two digits of every byte, as PostgreSQL writes them.
const PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Bytes of the text of `len` bytes.
pub(super) fn text_len(len: usize) -> usize {
    2 + len * 2
}

/// Fills `out`, which is [`text_len`] long, with `\x..` as PostgreSQL prints a `bytea`.
pub(super) fn write(bytes: &[u8], out: &mut [u8]) {
    let Some((prefix, digits)) = out.split_first_chunk_mut::<2>() else { return };
    *prefix = *b"\\x";
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

/// `\x..`, as PostgreSQL prints a `bytea`.
pub(super) fn to_text(bytes: &[u8]) -> String {
    let mut text = vec![0; text_len(bytes.len())];
    write(bytes, &mut text);
    // Digits are always text.
    String::from_utf8(text).unwrap_or_default()
}

/// The bytes of a `bytea` as PostgreSQL prints it, with either setting of `bytea_output`.
pub(super) fn from_text(text: &[u8]) -> Option<Vec<u8>> {
    match text.strip_prefix(b"\\x") {
        Some(digits) => decode(digits),
        None => unescape(text),
    }
}

fn decode(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?)).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `bytea_output = escape`: `\\` and `\ooo`, all other bytes as they are.
fn unescape(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    loop {
        text = match text {
            [] => return Some(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest
            }
            [b'\\', ..] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_text(to_text(&all).as_bytes()), Some(all));
        assert_eq!(from_text(br"a\\b\000\377"), Some(b"a\\b\0\xff".to_vec()));
        assert_eq!(from_text(br"\xFf"), Some(vec![255]));
        assert_eq!(from_text(b""), Some(Vec::new()));
    }

    #[test]
    fn neither_is_guessed_at() {
        for bad in [&br"\x0"[..], br"\x0g", br"\", br"\400", br"\12"] {
            assert_eq!(from_text(bad), None, "{bad:?}");
        }
    }
}
