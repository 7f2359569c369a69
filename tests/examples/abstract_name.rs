//! `abstract_name`.

use crate::program::*;

#[test]
fn abstract_name_keeps_every_byte() {
    let seen = lines(&run("abstract_name", &[]));
    let pid = between(&seen[0], r"parent: listening on @\x00afunix\x00", r"\x00example\x00, ");
    assert!(pid.parse::<u32>().is_ok(), "{pid}");
    let shorter = format!(r"@\x00afunix\x00{pid}\x00example");
    assert_eq!(
        seen,
        [
            format!(r"parent: listening on {shorter}\x00, {} bytes", 17 + pid.len()),
            format!("child: nobody at {shorter}, one byte less"),
            format!(r"child: connected to {shorter}\x00"),
            "parent: <unnamed> says hello".to_string(),
            "child: the parent says welcome".to_string(),
            "parent: the child ended well".to_string(),
        ]
    );
    assert_eq!(complaint(&run("abstract_name", &["x"])), "abstract_name: usage: abstract_name\n");
}
