//! A user agent, which is a client's own text → the client's name and version, short enough for a group.

/// Characters of a client's name.
const LONGEST: usize = 40;
/// Products that every browser names, and that tell nothing of the client.
const EVERYBODY: [&str; 6] = ["Mozilla", "AppleWebKit", "Gecko", "Version", "Mobile", "Safari"];

/// The first product that tells clients apart: `Element/1.11.50`, `matrix-rust-sdk`. `None` for an agent
/// that says nothing.
pub(crate) fn client(agent: &str) -> Option<String> {
    let bare = without_comments(agent);
    let products: Vec<_> = bare.split_whitespace().collect();
    let tells = |product: &&str| {
        let name = product.split('/').next().unwrap_or("");
        product.contains('/') && !EVERYBODY.contains(&name)
    };
    let name = match products.iter().position(tells) {
        // A name may be of several words: `Element X/25.11`.
        Some(at) => {
            let words = products[..at].iter().rposition(|word| word.contains('/'));
            products[words.map_or(0, |word| word + 1)..=at].join(" ")
        }
        None => (*products.first()?).to_owned(),
    };
    let name: String = name.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    (!name.is_empty() && name != "-").then_some(name)
}

/// Without what is in brackets: platforms and build numbers.
fn without_comments(agent: &str) -> String {
    let mut depth = 0_usize;
    let mut bare = String::with_capacity(agent.len());
    for letter in agent.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            letter if depth == 0 => bare.push(letter),
            _ => {}
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_by_its_own_product() {
        let desktop = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Element/1.11.50 Chrome/116.0.5845.188 Electron/26.2.1 Safari/537.36";
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        let long = "x".repeat(300);
        for (agent, name) in [
            (desktop, Some("Element/1.11.50")),
            (firefox, Some("Firefox/145.0")),
            ("Element X/25.11 (iPhone; iOS 18)", Some("Element X/25.11")),
            ("matrix-rust-sdk", Some("matrix-rust-sdk")),
            ("Mozilla/5.0", Some("Mozilla/5.0")),
            (long.as_str(), Some(&long[..LONGEST])),
            ("-", None),
            ("", None),
            ("((((", None),
            (")))) a\u{1b}b", Some("ab")),
        ] {
            assert_eq!(client(agent).as_deref(), name, "{agent}");
        }
    }
}
