//! Headers and payloads of control messages, at each length at which something changes.

use std::mem::size_of;
use std::vec;

use super::numbers;
use crate::wire::cmsg::{
    FDS_MAX, HEADER_LEN, Header, INT_LEN, UCRED_LEN, decode_int, decode_ucred, encode_ucred,
    message_len, message_space, padding_behind,
};

const WORD: usize = size_of::<usize>();

/// A header with any length.
fn raw(len: usize, level: i32, kind: i32) -> [u8; HEADER_LEN] {
    let bytes = [&len.to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes()].concat();
    bytes.try_into().unwrap()
}

#[test]
fn sizes_are_those_of_the_c_structures() {
    assert_eq!(HEADER_LEN, size_of::<libc::cmsghdr>());
    assert_eq!(UCRED_LEN, size_of::<libc::ucred>());
    assert_eq!(INT_LEN, size_of::<libc::c_int>());
    assert_eq!(HEADER_LEN % WORD, 0);
}

#[test]
fn lengths_and_spaces_are_those_of_the_macros() {
    let end = if cfg!(miri) { 30 } else { FDS_MAX * INT_LEN + 20 };
    for payload in (0..end).chain([FDS_MAX * INT_LEN]) {
        let c = libc::c_uint::try_from(payload).unwrap();
        assert_eq!(message_len(payload), HEADER_LEN + payload);
        assert_eq!(message_space(payload), space(c), "{payload}");
        let space = message_len(payload) + padding_behind(payload);
        assert_eq!(message_space(payload), space);
        assert_eq!(padding_behind(message_len(payload)), padding_behind(payload));
    }
}

/// `CMSG_SPACE` as the manual has it.
fn space(payload: libc::c_uint) -> usize {
    let word = u64::try_from(WORD).unwrap();
    let whole = u64::try_from(HEADER_LEN).unwrap() + u64::from(payload).div_ceil(word) * word;
    usize::try_from(whole).unwrap()
}

#[test]
fn sizes_too_large_to_be_counted_stay_too_large() {
    for less in 0..HEADER_LEN + WORD {
        let payload = usize::MAX - less;
        assert!(message_len(payload) >= payload);
        assert!(message_space(payload) >= payload);
        assert!(padding_behind(payload) < WORD);
        assert!(payload.wrapping_add(padding_behind(payload)) % WORD == 0);
    }
    assert_eq!(message_space(usize::MAX), usize::MAX);
    assert_eq!(message_len(usize::MAX - HEADER_LEN), usize::MAX);
}

#[test]
fn padding_reaches_the_next_word_and_no_further() {
    for len in numbers(64).chain([usize::MAX, usize::MAX - 1, usize::MAX / 2]) {
        let padding = padding_behind(len);
        assert!(padding < WORD);
        assert_eq!(len.wrapping_add(padding) % WORD, 0, "{len}");
        if len < 100 {
            let header = Header { level: 1, kind: 1, payload_len: len };
            assert_eq!(header.space(), HEADER_LEN + len + padding);
        }
    }
}

#[test]
fn a_header_comes_back_as_it_was_written() {
    let extremes = [1, -1, 0x0102_0304, 0, 2, i32::MIN, i32::MAX];
    let extremes = if cfg!(miri) { &extremes[..3] } else { &extremes[..] };
    for payload_len in numbers(70).chain([usize::MAX - HEADER_LEN]) {
        for &level in extremes {
            for &kind in extremes {
                let header = Header { level, kind, payload_len };
                let bytes = header.encode();
                assert_eq!(bytes, raw(HEADER_LEN + payload_len, level, kind));
                assert_eq!(Header::decode(&bytes, payload_len), Some(header));
                assert!(header.is(level, kind));
                assert!(!header.is(level, kind ^ 1) && !header.is(level ^ 1, kind));
            }
        }
    }
}

#[test]
fn a_length_shorter_than_a_header_is_no_message() {
    for len in numbers(HEADER_LEN) {
        for rest in [0, 1, HEADER_LEN, 1000, usize::MAX] {
            assert_eq!(Header::decode(&raw(len, 1, 1), rest), None, "{len} {rest}");
        }
    }
}

#[test]
fn a_length_longer_than_what_there_is_is_no_message() {
    for rest in numbers(70).chain([usize::MAX - HEADER_LEN]) {
        let just = Header::decode(&raw(HEADER_LEN + rest, 1, 2), rest);
        assert_eq!(just, Some(Header { level: 1, kind: 2, payload_len: rest }));
        if let Some(more) = (HEADER_LEN + rest).checked_add(1) {
            assert_eq!(Header::decode(&raw(more, 1, 2), rest), None, "{rest}");
        }
    }
    for len in [usize::MAX, usize::MAX - 1, usize::MAX - 7, usize::MAX / 2 + 1, 1 << 31] {
        for rest in [0, 8, 1000] {
            assert_eq!(Header::decode(&raw(len, 1, 1), rest), None, "{len}");
        }
    }
}

#[test]
fn credentials_come_back_as_they_were_written() {
    for pid in [0, 1, -1, i32::MAX, i32::MIN] {
        for (uid, gid) in [(0, 0), (0, u32::MAX), (u32::MAX, 0), (1000, 65534)] {
            assert_eq!(decode_ucred(encode_ucred(pid, uid, gid)), (pid, uid, gid));
        }
    }
    let [a, b, c] = [1i32, 2, 3].map(i32::to_ne_bytes);
    assert_eq!(encode_ucred(1, 2, 3)[..], [a, b, c].concat()[..]);
    assert_eq!(std::mem::offset_of!(libc::ucred, uid), 4);
    assert_eq!(std::mem::offset_of!(libc::ucred, gid), 8);
}

#[test]
fn a_number_is_four_bytes_and_nothing_else() {
    for len in 0..=12 {
        let bytes = vec![0x11; len];
        assert_eq!(decode_int(&bytes), (len == INT_LEN).then_some(0x1111_1111), "{len}");
    }
    assert_eq!(decode_int(&(-24i32).to_ne_bytes()), Some(-24));
}
