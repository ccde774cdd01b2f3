//! A link → the user or the event that it names: matrix.to, another permalink host, or a `matrix:` URI.

/// The user that a link names: matrix.to, another permalink host, or a `matrix:` URI.
pub(super) fn user_of_link(text: &str) -> Option<String> {
    if !is_link(text) {
        return None;
    }
    let path = |text: &str| percent_decoded(text.split('?').next().unwrap_or_default());
    if let Some((_, fragment)) = text.split_once("#/") {
        let id = path(fragment.strip_prefix("user/").unwrap_or(fragment))?;
        let id = id.trim_end_matches('/');
        return id.starts_with('@').then(|| id.to_owned());
    }
    let (_, uri) = text.split_once(':')?;
    let id = uri.strip_prefix("u/").or_else(|| uri.strip_prefix("user/"))?;
    Some(format!("@{}", path(id)?))
}

/// The room and the event that a permalink names, percent-escapes undone.
pub(super) fn event_of_link(text: &str) -> Option<(String, String)> {
    let (_, fragment) = text.split_once("#/").filter(|_| is_link(text))?;
    let (room, event) = fragment.split('?').next()?.split_once('/')?;
    Some((percent_decoded(room)?, percent_decoded(event)?))
}

/// Whether the word is a link at all. `matrix:` alone may be somebody's name.
pub(super) fn is_link(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("https://") || begins("http://") || (begins("matrix:") && text.contains('/'))
}

/// `%40alice%3Aexample.org` → `@alice:example.org`; `None` if it is no UTF-8 then.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|hex| first == b'%' && !hex.starts_with('+'))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = &after[if byte.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(out).ok()
}
