//! Addresses as text: what is shown, what is read, and that no two look alike.

use std::collections::HashMap;

use afunix::{AddrError, AddrKind, UnixAddr};

fn path(path: &[u8]) -> UnixAddr {
    UnixAddr::from_pathname(path).unwrap()
}

fn name(name: &[u8]) -> UnixAddr {
    UnixAddr::from_abstract_name(name).unwrap()
}

#[test]
fn each_kind_has_its_own_text() {
    for (addr, text) in [
        (UnixAddr::UNNAMED, "<unnamed>"),
        (path(b"/run/a b"), "/run/a b"),
        (path(b"relative"), "relative"),
        (path(b"@file"), "./@file"),
        (path(b"./@file"), "././@file"),
        (path(b"<unnamed>"), "./<unnamed>"),
        (path(b"./a"), "./a"),
        (name(b""), "@"),
        (name(b"name"), "@name"),
        (name(b"@name"), "@@name"),
        (name(b"/name"), "@/name"),
        (name(b"a\0"), r"@a\x00"),
        (name(b"\0a"), r"@\x00a"),
        (path(b"a\\b\n\r\t\x1b\x7f\xe9"), r"a\\b\n\r\t\x1b\x7f\xe9"),
    ] {
        assert_eq!(addr.to_string(), text);
        assert_eq!(addr.to_text().as_str(), text);
        assert_eq!(addr.to_text().as_ref(), text);
        assert_eq!(addr.to_text().to_string(), text);
        assert_eq!(format!("{:?}", addr.to_text()), format!("{text:?}"));
    }
}

#[test]
fn debug_shows_the_kind_too() {
    assert_eq!(format!("{:?}", path(b"x")), "UnixAddr(pathname x)");
    assert_eq!(format!("{:?}", name(b"x")), "UnixAddr(abstract @x)");
    assert_eq!(format!("{:?}", UnixAddr::UNNAMED), "UnixAddr(<unnamed>)");
    assert_eq!(format!("{:?}", name(b"\0x").kind()), r#"Abstract(b"\x00x")"#);
    assert_eq!(format!("{:?}", path(b"a\"").kind()), r#"Pathname(b"a\"")"#);
    assert_eq!(format!("{:?}", AddrKind::Unnamed), "Unnamed");
}

#[test]
fn text_is_padded_like_any_other() {
    assert_eq!(format!("[{:>8}]", name(b"abc")), "[    @abc]");
    assert_eq!(format!("[{:-<8}]", name(b"abc")), "[@abc----]");
}

#[test]
fn the_longest_texts_are_whole() {
    let longest = path(&[0xff; 108]).to_text();
    assert_eq!(longest.as_str(), r"\xff".repeat(108));
    let longest = name(&[0xff; 107]).to_string();
    assert_eq!(longest, format!("@{}", r"\xff".repeat(107)));
    let prefixed = path(&[&b"@"[..], &[0xff; 107]].concat()).to_string();
    assert_eq!(prefixed, format!("./@{}", r"\xff".repeat(107)));
    let prefixed = path(&[&b"./".repeat(53)[..], b"<\xff"].concat()).to_string();
    assert_eq!(prefixed, format!(r"{}<\xff", "./".repeat(54)));
}

/// All paths and names of up to five bytes out of those that mean something in a text.
#[test]
fn no_two_short_addresses_look_alike() {
    let alphabet = b"./@<\\nx0\n\xff";
    let mut strings: Vec<Vec<u8>> = vec![Vec::new()];
    let mut last = strings.clone();
    for _ in 0..5 {
        last = last
            .iter()
            .flat_map(|start| alphabet.iter().map(|byte| [&start[..], &[*byte]].concat()))
            .collect();
        strings.extend_from_slice(&last);
    }
    let mut seen = HashMap::new();
    let mut add = |addr: UnixAddr| {
        if let Some(other) = seen.insert(addr.to_string(), addr) {
            panic!("{:?} and {:?} are both {addr}", other.kind(), addr.kind());
        }
    };
    add(UnixAddr::UNNAMED);
    for bytes in &strings {
        add(name(bytes));
        if !bytes.is_empty() {
            add(path(bytes));
        }
    }
    // 1 + 10 + 100 + ... of each, the empty path being none, and the one without a name.
    assert_eq!(seen.len(), 2 * 111_111 - 1 + 1);
}

#[test]
fn parse_reads_what_systemd_and_go_write() {
    for (text, kind) in [
        (&b"/run/systemd/notify"[..], AddrKind::Pathname(b"/run/systemd/notify")),
        (b"/", AddrKind::Pathname(b"/")),
        (b"@/org/kernel/linux/storage/multipathd", {
            AddrKind::Abstract(b"/org/kernel/linux/storage/multipathd")
        }),
        (b"@@", AddrKind::Abstract(b"@")),
        // No escape is undone and nothing is trimmed.
        (br"@a\x00", AddrKind::Abstract(br"a\x00")),
        (b"@ a\n", AddrKind::Abstract(b" a\n")),
    ] {
        assert_eq!(UnixAddr::parse(text).unwrap().kind(), kind);
        assert_eq!(std::str::from_utf8(text).unwrap().parse::<UnixAddr>().unwrap().kind(), kind);
    }
    assert_eq!("run/a".parse::<UnixAddr>(), Err(AddrError::NotAbsolute { first: b'r' }));
}
