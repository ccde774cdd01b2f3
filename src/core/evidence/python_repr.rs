//! Python's `repr` of plain data → JSON. Synapse logs key ids, device ids and refused keys this way;
//! that escapes newlines, so such text cannot break a log line. Reads, never evaluates.

use serde_json::{Map, Number, Value};

/// How deep a literal may nest; a key value nests three deep.
const DEPTH: usize = 32;

/// Reads one literal from the start of the text; gives the value and what follows it.
pub fn literal(text: &str) -> Option<(Value, &str)> {
    value(text, 0)
}

/// Reads one string literal from the start of the text.
pub fn string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut out = String::new();
    let mut rest = text.get(1..)?;
    loop {
        // Copy up to the next character that means something.
        let stop = rest.find(['\\', quote])?;
        out.push_str(&rest[..stop]);
        rest = &rest[stop..];
        if rest.starts_with(quote) {
            return Some((out, &rest[1..]));
        }
        let (character, after) = escape(&rest[1..])?;
        out.push(character);
        rest = after;
    }
}

/// Reads a list of string literals from the start of the text, one after the other, and gives what follows it. Strings
/// without escapes are not copied.
pub fn strings(text: &str, mut each: impl FnMut(&str)) -> Option<&str> {
    let mut rest = text.strip_prefix('[')?;
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            return Some(after);
        }
        let quote = *rest.as_bytes().first()?;
        if quote != b'\'' && quote != b'"' {
            return None;
        }
        let stop = memchr::memchr2(quote, b'\\', &rest.as_bytes()[1..])? + 1;
        if rest.as_bytes()[stop] == quote {
            each(&rest[1..stop]);
            rest = &rest[stop + 1..];
        } else {
            let (text, after) = string(rest)?;
            each(&text);
            rest = after;
        }
        rest = separator(rest, ']')?;
    }
}

fn escape(text: &str) -> Option<(char, &str)> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    let digits = match kind {
        'n' => return Some(('\n', rest)),
        'r' => return Some(('\r', rest)),
        't' => return Some(('\t', rest)),
        '\\' | '\'' | '"' => return Some((kind, rest)),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
    // A lone surrogate is legal in a Python string and not in ours.
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((character, &rest[digits..]))
}

fn value(text: &str, depth: usize) -> Option<(Value, &str)> {
    if depth > DEPTH {
        return None;
    }
    match text.bytes().next()? {
        b'\'' | b'"' => string(text).map(|(text, rest)| (Value::String(text), rest)),
        b'{' => dict(text, depth),
        b'[' => items(text, ']', depth).map(|(all, rest)| (Value::Array(all), rest)),
        b'(' => items(text, ')', depth).map(|(all, rest)| (Value::Array(all), rest)),
        _ => word(text),
    }
}

fn word(text: &str) -> Option<(Value, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match word {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" | "inf" | "-inf" | "nan" => Value::Null,
        _ => match word.parse::<i64>() {
            Ok(whole) => Value::from(whole),
            Err(_) => Value::Number(Number::from_f64(word.parse().ok()?)?),
        },
    };
    Some((value, rest))
}

fn items(text: &str, close: char, depth: usize) -> Option<(Vec<Value>, &str)> {
    let mut all = Vec::new();
    let mut rest = text.get(1..)?;
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            return Some((all, after));
        }
        let (item, after) = value(rest, depth + 1)?;
        all.push(item);
        rest = separator(after, close)?;
    }
}

fn dict(text: &str, depth: usize) -> Option<(Value, &str)> {
    let mut all = Map::new();
    let mut rest = text.get(1..)?;
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((Value::Object(all), after));
        }
        let (key, after) = string(rest)?;
        let (item, after) = value(after.strip_prefix(": ")?, depth + 1)?;
        all.insert(key, item);
        rest = separator(after, '}')?;
    }
}

/// Steps over `, `, a lone trailing comma, or stays at the closing mark.
fn separator(text: &str, close: char) -> Option<&str> {
    if text.starts_with(close) {
        return Some(text);
    }
    let rest = text.strip_prefix(',')?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_synapse_prints() {
        let cases = [
            ("'a'", json!("a")),
            (r#""it's""#, json!("it's")),
            (
                r#"'it\'s "q" \\ \n \u2028 é \x1b \U0001f600'"#,
                json!("it's \"q\" \\ \n \u{2028} é \u{1b} 😀"),
            ),
            (
                "{'key': 'k', 'fallback': True, 'n': [1, -2, 1.5, None]}",
                json!({"key": "k", "fallback": true, "n": [1, -2, 1.5, null]}),
            ),
            ("('a', 'b',)", json!(["a", "b"])),
            ("{}", json!({})),
        ];
        for (text, expected) in cases {
            assert_eq!(literal(text), Some((expected, "")), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_literal() {
        let deep = "[".repeat(100_000);
        for text in ["", "'", "'a", "{'a'", "{'a': }", "[1 2]", "'\\q'", "'\\x1", "'\\xé'", &deep]
        {
            assert_eq!(literal(text), None, "{}", &text[..text.len().min(20)]);
        }
    }
}
