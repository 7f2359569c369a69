//! The pure code against slower code that is plainly right. Miri runs these.

mod cmsg;
mod status;

use std::string::String;
use std::vec;
use std::vec::Vec;

use super::addr::{
    ADDR_MAX, AF_UNIX, SUN_PATH_LEN, Shape, check_abstract_name, check_path_len, copy, decode,
    has_nul, interior_nul, is_usual_path,
};
use super::text::{Parsed, escape, needs_dot_slash, parse};
use crate::error::{AddrError, DecodeError};

/// Numbers from 0 on: all of them; for Miri, which is slow, those around the sizes of the blocks.
pub(crate) fn numbers(end: usize) -> impl Iterator<Item = usize> {
    const EDGES: [usize; 18] =
        [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 106, 107, 108, 110, 129];
    (0..end).filter(|number| !cfg!(miri) || EDGES.contains(number))
}

#[test]
fn has_nul_finds_a_nul_at_each_place_of_each_length() {
    for len in numbers(140) {
        let mut bytes = vec![0xff; len];
        assert!(!has_nul(&bytes), "{len}");
        for place in numbers(len) {
            bytes[place] = 0;
            assert!(has_nul(&bytes), "NUL at {place} of {len}");
            bytes[place] = 1;
        }
    }
}

#[test]
fn copy_moves_each_byte_of_each_length_and_no_other() {
    for len in numbers(SUN_PATH_LEN + 1) {
        let from: Vec<u8> = (1..).take(len).collect();
        let mut to = [0xee; SUN_PATH_LEN];
        assert!(copy::<true>(&mut to, &from), "{len}");
        assert_eq!(to[..len], from[..]);
        assert!(to[len..].iter().all(|byte| *byte == 0xee), "{len}");
    }
}

#[test]
fn copy_of_a_path_with_nul_changes_nothing_and_of_a_name_copies_it() {
    for len in numbers(SUN_PATH_LEN + 1) {
        for place in numbers(len) {
            let mut from = vec![b'a'; len];
            from[place] = 0;
            let mut to = [0xee; SUN_PATH_LEN];
            assert!(!copy::<true>(&mut to, &from), "NUL at {place} of {len}");
            assert_eq!(to, [0xee; SUN_PATH_LEN]);
            assert!(copy::<false>(&mut to, &from));
            assert_eq!(to[..len], from[..]);
        }
    }
}

#[test]
fn copy_of_more_than_fits_changes_nothing() {
    let mut to = [0xee; SUN_PATH_LEN];
    for len in [109, 128, 129, 300] {
        assert!(!copy::<false>(&mut to, &vec![1; len]));
        assert_eq!(to, [0xee; SUN_PATH_LEN]);
    }
}

/// An address of `sun_path`, with the family in front.
fn address(sun_path: &[u8]) -> Vec<u8> {
    [&AF_UNIX.to_ne_bytes()[..], sun_path].concat()
}

#[test]
fn decode_ends_a_path_at_its_first_nul_wherever_that_is() {
    for len in numbers(SUN_PATH_LEN + 1).skip(1) {
        let mut bytes = address(&vec![b'a'; len]);
        assert_eq!(decode(&bytes, 2 + len), Ok(Shape::Pathname(len)));
        for place in numbers(len).skip(1) {
            bytes[2 + place] = 0;
            assert_eq!(decode(&bytes, 2 + len), Ok(Shape::Pathname(place)), "{place} of {len}");
            bytes[2 + place] = b'a';
        }
    }
}

#[test]
fn decode_takes_an_abstract_name_by_its_length_alone() {
    for len in 0..=107 {
        let bytes = address(&vec![0; 1 + len]);
        assert_eq!(decode(&bytes, 3 + len), Ok(Shape::Abstract(len)));
    }
}

#[test]
fn decode_tells_unnamed_by_length_before_it_looks_at_any_byte() {
    assert_eq!(decode(&[], 0), Ok(Shape::Unnamed));
    assert_eq!(decode(&[0xff; 200], 0), Ok(Shape::Unnamed));
    assert_eq!(decode(&address(b""), 2), Ok(Shape::Unnamed));
    assert_eq!(decode(&address(b"/garbage"), 2), Ok(Shape::Unnamed));
}

#[test]
fn decode_of_111_bytes_is_a_full_path_and_nothing_else() {
    let full = address(&[b'a'; SUN_PATH_LEN]);
    assert_eq!(decode(&full, 111), Ok(Shape::Pathname(SUN_PATH_LEN)));
    let with = |last: &[u8]| [&full[..], last].concat();
    assert_eq!(decode(&with(&[0]), 111), Ok(Shape::Pathname(SUN_PATH_LEN)));
    assert_eq!(decode(&with(&[0, 0xee]), 111), Ok(Shape::Pathname(SUN_PATH_LEN)));
    let wrong = Err(DecodeError::Length { addr_len: 111 });
    assert_eq!(decode(&with(b"a"), 111), wrong);
    for place in numbers(SUN_PATH_LEN) {
        let mut bytes = full.clone();
        bytes[2 + place] = 0;
        assert_eq!(decode(&bytes, 111), wrong, "NUL at {place}");
    }
    assert_eq!(decode(&full[..109], 111), Err(DecodeError::Truncated { addr_len: 111, have: 109 }));
}

#[test]
fn decode_names_what_is_wrong_with_the_numbers() {
    let bytes = address(b"/path");
    assert_eq!(decode(&bytes, 1), Err(DecodeError::Length { addr_len: 1 }));
    assert_eq!(decode(&[], 1), Err(DecodeError::Length { addr_len: 1 }));
    assert_eq!(decode(&[], 2), Err(DecodeError::Truncated { addr_len: 2, have: 0 }));
    assert_eq!(decode(&[1], 2), Err(DecodeError::Truncated { addr_len: 2, have: 1 }));
    for addr_len in 8..=110 {
        let cut = Err(DecodeError::Truncated { addr_len, have: 7 });
        assert_eq!(decode(&bytes, addr_len), cut);
    }
    for addr_len in [112, 113, 128, usize::MAX] {
        assert_eq!(decode(&[1; 200], addr_len), Err(DecodeError::Family { found: 0x0101 }));
        assert_eq!(decode(&bytes, addr_len), Err(DecodeError::Length { addr_len }));
    }
    for found in [0, 2, 10, 0x0100] {
        let bytes = [&u16::to_ne_bytes(found)[..], b"/path"].concat();
        assert_eq!(decode(&bytes, 7), Err(DecodeError::Family { found }));
    }
}

#[test]
fn is_usual_path_says_yes_only_where_decode_would_leave_all_as_it_is() {
    for len in numbers(ADDR_MAX + 3) {
        // No NUL; one at each place; and one at each place with another at the end.
        for place in numbers(len.min(108) + 1) {
            for last in [b'a', 0] {
                let mut addr = [b'a'; ADDR_MAX];
                addr[..2].copy_from_slice(&AF_UNIX.to_ne_bytes());
                if place > 0 {
                    addr[1 + place] = 0;
                }
                if let Some(end) = addr[2..].get_mut(len.wrapping_sub(3)) {
                    *end = last;
                }
                if is_usual_path(&addr, len) {
                    let decoded = decode(&addr, len);
                    assert_eq!(decoded, Ok(Shape::Pathname(len - 3)), "{len} {place} {last}");
                    assert_eq!(addr[len - 1], 0);
                } else if len >= 12 && last == 0 && (place == 0 || place >= len - 2) {
                    assert!(len > ADDR_MAX, "an answer as usual was not seen: {len} {place}");
                }
            }
        }
    }
    let mut other = [b'a'; ADDR_MAX];
    other[40] = 0;
    assert!(!is_usual_path(&other, 41), "another family");
}

#[test]
fn checks_name_what_is_wrong_with_the_numbers() {
    assert_eq!(check_path_len(b""), Err(AddrError::EmptyPath));
    assert_eq!(check_path_len(&[0; 108]), Ok(()));
    assert_eq!(check_path_len(&[b'a'; 109]), Err(AddrError::PathTooLong { len: 109 }));
    assert_eq!(check_abstract_name(&[0; 107]), Ok(()));
    assert_eq!(check_abstract_name(&[0; 108]), Err(AddrError::NameTooLong { len: 108 }));
    assert_eq!(interior_nul(b"ab\0c\0"), AddrError::InteriorNul { position: 2, len: 5 });
}

#[test]
fn parse_takes_path_and_name_literally() {
    assert_eq!(parse(b"/"), Ok(Parsed::Pathname(b"/")));
    assert_eq!(parse(br"/a\x00 b"), Ok(Parsed::Pathname(br"/a\x00 b")));
    assert_eq!(parse(b"@@"), Ok(Parsed::Abstract(b"@")));
    assert_eq!(parse(b"@ /"), Ok(Parsed::Abstract(b" /")));
    let longest = [&b"@"[..], &[0xff; 107]].concat();
    assert_eq!(parse(&longest), Ok(Parsed::Abstract(&[0xff; 107])));
    let longest = [&b"/"[..], &[0xff; 107]].concat();
    assert_eq!(parse(&longest), Ok(Parsed::Pathname(&longest)));
}

#[test]
fn parse_names_what_is_wrong_with_the_numbers() {
    assert_eq!(parse(b""), Err(AddrError::EmptyText));
    assert_eq!(parse(b"@"), Err(AddrError::EmptyName));
    for first in (0..=u8::MAX).filter(|first| !b"/@".contains(first)) {
        assert_eq!(parse(&[first, b'/']), Err(AddrError::NotAbsolute { first }));
    }
    assert_eq!(parse(b"/a\0"), Err(AddrError::InteriorNul { position: 2, len: 3 }));
    assert_eq!(parse(b"@\0a"), Err(AddrError::InteriorNul { position: 1, len: 3 }));
    assert_eq!(parse(&[b'/'; 109]), Err(AddrError::PathTooLong { len: 109 }));
    assert_eq!(parse(&[b'@'; 109]), Err(AddrError::NameTooLong { len: 108 }));
    // What does not fit is said before what is in it.
    assert_eq!(
        parse(&[&[b'/'; 109][..], b"\0"].concat()),
        Err(AddrError::PathTooLong { len: 110 })
    );
}

#[test]
fn escape_gives_each_byte_its_own_printable_text() {
    let text = |byte| String::from_utf8(escape(byte).as_bytes().to_vec()).unwrap();
    let mut seen: Vec<String> = (0..=u8::MAX).map(text).collect();
    assert!(seen.iter().all(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
    for byte in b' '..=b'~' {
        let plain = String::from(char::from(byte));
        assert_eq!(text(byte), if byte == b'\\' { "\\\\".into() } else { plain });
    }
    assert_eq!([text(b'\n'), text(b'\r'), text(b'\t')], ["\\n", "\\r", "\\t"]);
    assert_eq!([text(0), text(0x7f), text(0xab)], ["\\x00", "\\x7f", "\\xab"]);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 256);
}

#[test]
fn needs_dot_slash_where_a_path_would_read_like_something_else() {
    for path in ["@a", "<unnamed>", "./@a", "././@", "./<", "@"] {
        assert!(needs_dot_slash(path.as_bytes()), "{path}");
    }
    for path in ["a@", "/@a", "./a", ".", "./", "../@a", ".//@a", "/<unnamed>"] {
        assert!(!needs_dot_slash(path.as_bytes()), "{path}");
    }
}
