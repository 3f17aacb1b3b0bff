// The glossary of a dataset: an entry is a Profile with source 'glossary' that describes the Dataset.

// name: glossary_entries(dataset) -> many
// The terms that were explained, and what they mean. Entries that were pruned are left out. Key: the dataset's, then its
// glossary alone.
MATCH (dataset:Dataset {uid: $dataset})<-[describes:DESCRIBES]-(entry:Profile)
WHERE describes.pruned_by IS NULL
RETURN entry.name AS term, entry.text AS meaning ORDER BY term

// name: item_texts(dataset, after, limit) -> many
// Ids, names and texts of items in the order of their keys, from one key on. Key: the uid, from which a page begins.
MATCH (item:Item)
WHERE item.uid > $after AND item.uid STARTS WITH $dataset + ':'
RETURN item.uid AS uid, item.id AS id, item.name AS name, item.text AS text
ORDER BY uid LIMIT $limit

// name: forget_terms(dataset, job, terms) -> none
// Remove the entries of terms that stand in no text any more, and take their subjects for not asked about, so that a term
// which comes back has its entry again. Writes nothing where there are none. Keys: the dataset's, then its glossary alone,
// and the subjects' uids.
MATCH (dataset:Dataset {uid: $dataset})<-[:DESCRIBES]-(entry:Profile)
WHERE entry.source = 'glossary' AND NOT entry.name IN $terms
WITH dataset, collect(entry) AS stale
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH stale
UNWIND stale AS entry
CALL (entry) {
  MATCH (run:Run {dataset: $dataset, kind: 'extract', name: $job})
  MATCH (subject:Subject {uid: run.uid + '/' + entry.name})
  SET subject.state = 'cancelled', subject.error = 'its term stands in no text any more'
}
DETACH DELETE entry

// name: replace_glossary_entries(dataset, run, job, lease, rows) -> none
// Replace what a job explained of terms by what it explains now; a term that it has nothing to say about loses its entry.
// Keys: the entries' uids and the dataset's, which is locked and counted first. As in `replace_user_intents`, another
// run of the job had the term before, and subjects whose lease is lost are left out.
MATCH (dataset:Dataset {uid: $dataset})
SET dataset.version = coalesce(dataset.version, 0) + 1
WITH dataset
MATCH (earlier:Run {dataset: $dataset, kind: 'extract', name: $job})
WITH dataset, collect(earlier.uid) AS runs
CALL (dataset, runs) {
  UNWIND $rows AS row
  MATCH (subject:Subject {uid: row.subject, lease: $lease})
  UNWIND runs AS other
  OPTIONAL MATCH (replaced:Subject {uid: other + '/' + subject.id})
  WHERE other <> $run
  SET replaced.state = 'cancelled', replaced.error = 'replaced by ' + $run
  WITH DISTINCT row
  MATCH (old:Profile {uid: $dataset + ':' + row.entry})
  DETACH DELETE old
}
CALL (dataset) {
  UNWIND $rows AS row
  MATCH (:Subject {uid: row.subject, lease: $lease})
  WITH row WHERE row.meaning IS NOT NULL
  CREATE (entry:Profile {uid: $dataset + ':' + row.entry})
  SET entry.dataset = $dataset, entry.id = row.entry, entry.name = row.term, entry.text = row.meaning,
      entry.source = 'glossary', entry.run = $run
  CREATE (entry)-[:DESCRIBES {run: $run, completion: row.completion, round: 1, evidence: row.evidence}]->(dataset)
}
