//! Addresses as text: our own, and through `core::fmt`.

use core::fmt::Write;

use afunix::{AddrKind, AddrText, UnixAddr};

use crate::addr::digest;
use crate::check::{Failure, opaque};
use crate::out::{Line, print};
use crate::{check, get};

pub fn run() -> Result<(), Failure> {
    for (addr, wanted) in [
        (opaque(UnixAddr::UNNAMED), "<unnamed>"),
        (get!(UnixAddr::from_abstract_name(opaque(b"tab\t"))), r"@tab\t"),
        (get!(UnixAddr::from_pathname(opaque(b"@\xff\\"))), r"./@\xff\\"),
    ] {
        let text: AddrText = addr.to_text();
        check!(text.as_str() == opaque(wanted));
        let as_ref: &str = text.as_ref();
        check!(as_ref == text.as_str());
        check!(text.clone() == text && digest(&text) == digest(&text.clone()));
        print(text.as_str());
        print("\n");
        formatted(&addr, &text)?;
    }
    let read: UnixAddr = get!(opaque("@name").parse());
    check!(read.as_abstract_name() == opaque(Some(b"name")));
    let longest = get!(UnixAddr::from_pathname(opaque(&[0xff; 108])));
    check!(longest.to_text().as_str().len() == 432);
    formatted(&longest, &longest.to_text())
}

fn formatted(addr: &UnixAddr, text: &AddrText) -> Result<(), Failure> {
    let mut line = Line::new();
    check!(write!(line, "{addr}").is_ok());
    check!(line.as_str() == text.as_str());
    let mut line = Line::new();
    check!(write!(line, "{text}").is_ok());
    check!(line.as_str() == text.as_str());
    let mut line = Line::new();
    check!(write!(line, "{:>600}", opaque(addr)).is_ok());
    check!(line.as_str().len() == 600);
    let mut line = Line::new();
    check!(write!(line, "{addr:?}").is_ok());
    check!(line.as_str().starts_with("UnixAddr("));
    let mut line = Line::new();
    check!(write!(line, "{text:?}").is_ok());
    let mut line = Line::new();
    let kind: AddrKind<'_> = addr.kind();
    check!(write!(line, "{kind:?}").is_ok());
    check!(line.as_str().contains("named") == addr.is_unnamed());
    Ok(())
}
