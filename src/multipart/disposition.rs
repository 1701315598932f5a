//! What a part is called, from its `Content-Disposition`.

use super::media_type;

/// The names of a part. Default: a part that has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition {
    /// The form's name for it; empty unless it is form data.
    pub(super) name: String,
    /// The last component of its file name.
    pub(super) filename: String,
}

impl Disposition {
    /// Reads a header's value; a malformed one gives no names.
    pub(super) fn parse(header: &[u8]) -> Self {
        let Some(parsed) = media_type::parse(header) else {
            return Self::default();
        };
        let get = |name: &str| {
            String::from_utf8_lossy(&parsed.param(name).unwrap_or_default()).into_owned()
        };
        let name = if parsed.essence == "form-data" {
            get("name")
        } else {
            String::new()
        };
        Self {
            name,
            filename: base_name(&get("filename")).to_owned(),
        }
    }
}

/// The last component of a path; `/` for a path of slashes only, and nothing for nothing.
fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() && !path.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &str) -> (String, String) {
        let disposition = Disposition::parse(header.as_bytes());
        (disposition.name, disposition.filename)
    }

    #[test]
    fn the_file_name_is_the_base_name_of_what_was_sent() {
        for (sent, expected) in [
            ("\"/etc/../r.x\"", "r.x"),
            ("\"a/\"", "a"),
            ("\"//\"", "/"),
            ("..", ".."),
            ("\"\"", ""),
            ("\"ü.x\"", "ü.x"),
            ("\"C:\\d\\f\"", "C:\\d\\f"),
            ("\"a\\\"b\"", "a\"b"),
        ] {
            let header = format!("form-data; name=rootfs; filename={sent}");
            assert_eq!(
                names(&header),
                ("rootfs".to_owned(), expected.to_owned()),
                "{sent}"
            );
        }
        assert_eq!(
            names("form-data; name=rootfs"),
            ("rootfs".to_owned(), String::new())
        );
    }

    #[test]
    fn a_file_name_that_is_not_utf_8_is_made_readable() {
        let disposition = Disposition::parse(b"form-data; filename=\"\xe2\"");
        assert_eq!(disposition.filename, "\u{fffd}");
    }

    #[test]
    fn only_well_formed_form_data_has_a_name() {
        for (header, name) in [
            ("FORM-DATA; NAME=rootfs", "rootfs"),
            ("form-data; name=\" rootfs\"", " rootfs"),
            ("attachment; name=rootfs", ""),
            ("form-data; name=rootfs; x", ""),
            ("form-data; name=rootfs; filename=\"x", ""),
            ("form-data; name=rootfs; filename=x y", ""),
            ("", ""),
        ] {
            assert_eq!(names(header).0, name, "{header}");
        }
    }
}
