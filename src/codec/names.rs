//! Rules for names and texts that several structures hold, and that the layers above ask of what people type.

/// The longest component of a path, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// The longest path below a root, in bytes.
pub const MAX_PATH_BYTES: usize = 4095;

/// The longest name of a source, in bytes.
pub const MAX_SOURCE_NAME_BYTES: usize = 255;

/// The longest tag or feature name, in bytes.
pub const MAX_TAG_BYTES: usize = 128;

/// The longest name of a host, a user, a zone or a version, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// What is wrong with a path below a root, if something is. The empty path is the root itself.
pub fn path_fault(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return None;
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("a path longer than 4,095 bytes");
    }
    path.split(|byte| *byte == b'/').find_map(component_fault)
}

fn component_fault(component: &[u8]) -> Option<&'static str> {
    match component {
        b"" => Some("a path with an empty component"),
        b"." | b".." => Some("a path that does not stay below its root"),
        long if long.len() > MAX_COMPONENT_BYTES => Some("a name longer than 255 bytes"),
        name => name.contains(&0).then_some("a name with a NUL"),
    }
}

/// What is wrong with an absolute path, if something is. It begins with `/` and does not end with one, except `/` itself.
pub fn absolute_path_fault(path: &[u8]) -> Option<&'static str> {
    match path.strip_prefix(b"/") {
        None => Some("a root that is not an absolute path"),
        Some(below) => path_fault(below),
    }
}

/// What is wrong with the name of a source, if something is.
pub fn source_name_fault(name: &str) -> Option<&'static str> {
    if name.contains('/') {
        return Some("a source name with a slash");
    }
    required_fault(name, MAX_SOURCE_NAME_BYTES)
}

/// What is wrong with a tag or the name of a feature, if something is.
pub fn tag_fault(tag: &str) -> Option<&'static str> {
    required_fault(tag, MAX_TAG_BYTES)
}

/// What is wrong with a text that must be there, if something is.
pub(super) fn required_fault(text: &str, most: usize) -> Option<&'static str> {
    if text.is_empty() {
        return Some("an empty name");
    }
    if text.chars().any(char::is_control) {
        return Some("a name with a control character");
    }
    length_fault(text, most)
}

/// The same for one that may be empty and may hold anything: what another program calls itself.
pub(super) fn length_fault(text: &str, most: usize) -> Option<&'static str> {
    (text.len() > most).then_some("a name longer than it may be")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_root() {
        let long = |len| "x".repeat(len);
        let deep = vec![long(255); 15].join("/") + "/" + &long(255);
        assert_eq!(deep.len(), MAX_PATH_BYTES);
        for good in ["", "a", "a/b", "...", "..a/.b", "a\nb", &long(255), &deep] {
            assert_eq!(path_fault(good.as_bytes()), None, "{good}");
        }
        assert_eq!(path_fault(b"\xff\x01/\x80"), None);
        for bad in [
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/..",
            "../a",
            "a/./b",
            "a\0b",
            &long(256),
            &(deep + "x"),
        ] {
            assert!(path_fault(bad.as_bytes()).is_some(), "{bad}");
        }
    }

    #[test]
    fn roots_are_absolute() {
        for good in ["/", "/a", "/app/data"] {
            assert_eq!(absolute_path_fault(good.as_bytes()), None, "{good}");
        }
        for bad in ["", "a", "//a", "/a/", "/a/../b"] {
            assert!(absolute_path_fault(bad.as_bytes()).is_some(), "{bad}");
        }
    }

    #[test]
    fn source_names_and_tags_can_be_shown_on_a_line() {
        for good in ["partshub", "Teile & Lager", "x"] {
            assert_eq!(source_name_fault(good), None, "{good}");
            assert_eq!(tag_fault(good), None, "{good}");
        }
        for bad in ["", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(256)] {
            assert!(source_name_fault(bad).is_some(), "{bad:?}");
            assert!(tag_fault(bad).is_some(), "{bad:?}");
        }
        assert!(source_name_fault("a/b").is_some());
    }
}
