//! Replaces random ids by labels: `<1>` is the first id that appears in a story, `<2>` the next.

use std::collections::HashMap;

/// The length of a random UUID in its usual form, as in member ids.
const UUID_LENGTH: usize = 36;
/// Fields whose numbers a broker gives out one after the other, in the order of the requests.
const COUNTED_FIELDS: [&str; 1] = ["producer_id: "];
const HIDDEN_FIELDS: [&str; 1] = ["throttle_time_ms: "];
const NOISE: [&str; 2] = [", unknown_tagged_fields: {}", "unknown_tagged_fields: {}"];

/// The ids that have appeared so far.
#[derive(Default)]
pub struct Labels(HashMap<String, usize>);

impl Labels {
    /// The text with labels instead of its ids. A new id gets the next label.
    pub fn of(&mut self, text: &str) -> String {
        let labels = &mut self.0;
        replace_ids(text, &mut |id| {
            let next = labels.len() + 1;
            let label = *labels.entry(id.to_owned()).or_insert(next);
            format!("<{label}>")
        })
    }

    /// The same, but all ids that have not appeared yet get the same label. Lists are sorted by this text.
    pub fn known(&self, text: &str) -> String {
        replace_ids(text, &mut |id| match self.0.get(id) {
            Some(label) => format!("<{label:06}>"),
            None => "<new>".into(),
        })
    }
}

fn replace_ids(text: &str, label: &mut dyn FnMut(&str) -> String) -> String {
    let mut text = text.to_owned();
    for noise in NOISE {
        text = text.replace(noise, "");
    }
    for field in HIDDEN_FIELDS {
        text = replace_numbers(&text, field, &mut |_| "ANY".into());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let counted = COUNTED_FIELDS.iter().find(|field| rest.starts_with(**field));
        if let Some(field) = counted {
            let number = &rest[field.len()..][..number_length(&rest[field.len()..])];
            let shown = match number {
                // -1 stands for no id.
                "-1" => number.to_owned(),
                _ => label(&format!("{field}{number}")),
            };
            out += field;
            out += &shown;
            rest = &rest[field.len() + number.len()..];
        } else if let Some(id) = rest.get(..UUID_LENGTH).filter(|id| is_random_uuid(id)) {
            out += &label(id);
            rest = &rest[UUID_LENGTH..];
        } else {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            out += &rest[..next];
            rest = &rest[next..];
        }
    }
    out
}

fn replace_numbers(text: &str, field: &str, shown: &mut dyn FnMut(&str) -> String) -> String {
    let mut parts = text.split(field);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let length = number_length(part);
        out += field;
        out += &shown(&part[..length]);
        out += &part[length..];
    }
    out
}

fn number_length(text: &str) -> usize {
    text.find(|c: char| c != '-' && !c.is_ascii_digit())
        .unwrap_or(text.len())
}

fn is_random_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        _ => byte.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_counted_in_the_order_of_their_appearance() {
        let (one, two) = (
            "0a49f0fb-c9b4-4071-9de2-8a3a3b2e8b37",
            "ffffffff-c9b4-4071-9de2-8a3a3b2e8b37",
        );
        let mut labels = Labels::default();
        assert_eq!(labels.of(&format!("a-{one} b-{two} {one}")), "a-<1> b-<2> <1>");
        assert_eq!(labels.of(two), "<2>");
        assert_eq!(
            labels.of("00000000-0000-0000-0000-000000000000"),
            "00000000-0000-0000-0000-000000000000"
        );
        assert_eq!(labels.known("1a49f0fb-c9b4-4071-9de2-8a3a3b2e8b37"), "<new>");
    }

    #[test]
    fn producer_ids_are_counted_and_throttling_is_hidden() {
        let text = "R { throttle_time_ms: 12, producer_id: 4000, unknown_tagged_fields: {} }";
        let expected = "R { throttle_time_ms: ANY, producer_id: <1> }";
        let mut labels = Labels::default();
        assert_eq!(labels.of(text), expected);
        assert_eq!(
            labels.of("producer_id: 0, producer_id: 4000"),
            "producer_id: <2>, producer_id: <1>"
        );
        assert_eq!(labels.of("producer_id: -1"), "producer_id: -1");
    }
}
