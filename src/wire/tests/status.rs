use super::super::status::umask;

#[test]
fn the_umask_is_the_number_of_its_own_whole_line() {
    let status = b"Name:\tUmask:\\n\nUmask:\t0027\nState:\tR (running)\n";
    assert_eq!(umask(status), Some(0o27));
    assert_eq!(umask(b"Name:\tx\nUmask:\t0777\n"), Some(0o777));
    assert_eq!(umask(b"\nUmask:\t0000\n"), Some(0));
    for cut in 0..status.len() {
        let whole = cut > status.iter().position(|byte| *byte == b'S').unwrap() - 1;
        assert_eq!(umask(&status[..cut]), whole.then_some(0o27), "{cut} bytes");
    }
    for other in [
        &b""[..],
        b"Name:\tx\nState:\tR\n",
        b"\nUmask:\t\n",
        b"\nUmask:\t022\n",
        b"\nUmask:\t0028\n",
        b"\nUmask:\t00222\n",
        b"\nUmask:\t1022\n",
        b"\nUmask:\t-022\n",
        b"\n Umask:\t0022\n",
        b"\nUmask: 0022\n",
    ] {
        assert_eq!(umask(other), None, "{}", other.escape_ascii());
    }
}
