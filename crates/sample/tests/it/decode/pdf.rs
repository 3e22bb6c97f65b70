//! PDF with a classic cross-reference table: offsets, stream lengths, page count, pictures.

use super::jpeg;

/// Checks everything; returns the number of pages.
pub(crate) fn pages(bytes: &[u8]) -> usize {
    assert!(bytes.starts_with(b"%PDF-1.4\n"));
    let objects = objects(bytes);
    assert!(objects[0].starts_with(b"<</Type/Catalog/Pages 2 0 R>>"));
    let count = number_after(objects[1], b"/Count ");
    let leaves = objects.iter().filter(|object| object.starts_with(b"<</Type/Page/"));
    assert_eq!(leaves.count(), count);
    let pictures = objects.iter().filter(|object| stream(object)).count();
    assert_eq!(pictures, count, "one picture a page");
    count
}

/// The objects by number, each found through the table and cut before its `endobj`.
fn objects(bytes: &[u8]) -> Vec<&[u8]> {
    let tail = &bytes[rfind(bytes, b"startxref\n") + 10..];
    let table_at = number_after(tail, b"");
    assert_eq!(tail, format!("{table_at}\n%%EOF\n").as_bytes());
    let table = bytes[table_at..].strip_prefix(b"xref\n0 ").unwrap();
    let size = number_after(table, b"");
    let entries = &table[find(table, b"\n") + 1..][..20 * size];
    assert_eq!(&entries[..20], b"0000000000 65535 f \n");
    let trailer = &table[find(table, b"\n") + 1 + 20 * size..];
    assert!(trailer.starts_with(b"trailer\n<<") && find(trailer, b"/Root 1 0 R") > 0);
    assert_eq!(number_after(trailer, b"/Size "), size);
    (1..size).map(|number| object(bytes, &entries[20 * number..][..20], number)).collect()
}

fn object<'a>(bytes: &'a [u8], entry: &[u8], number: usize) -> &'a [u8] {
    assert_eq!(&entry[10..], b" 00000 n \n");
    let at: usize = std::str::from_utf8(&entry[..10]).unwrap().parse().unwrap();
    let body = bytes[at..].strip_prefix(format!("{number} 0 obj\n").as_bytes()).unwrap();
    &body[..find(body, b"\nendobj\n")]
}

/// Checks a stream's length and a picture's pixels; whether the object is a picture.
fn stream(object: &[u8]) -> bool {
    let Some(at) = position(object, b">>\nstream\n") else { return false };
    let (head, data) = (&object[..at + 2], &object[at + 10..]);
    let length = number_after(head, b"/Length ");
    assert_eq!(&data[length..], b"\nendstream");
    if position(head, b"/DCTDecode").is_none() {
        return false;
    }
    let size = (number_after(head, b"/Width "), number_after(head, b"/Height "));
    assert_eq!(jpeg::size(&data[..length]), size);
    jpeg::blocks(&data[..length]) > 0
}

fn number_after(bytes: &[u8], key: &[u8]) -> usize {
    let digits = &bytes[find(bytes, key) + key.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap();
    std::str::from_utf8(&digits[..end]).unwrap().parse().unwrap()
}

fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    position(bytes, needle).unwrap()
}

fn rfind(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).rposition(|window| window == needle).unwrap()
}
