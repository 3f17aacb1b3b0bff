// Search for a user.

// name: search_items(dataset, query, limit) -> many
// Items of a dataset by full text over their names and texts, the best first, by Lucene's BM25. `query` is Lucene syntax.
// Cost: what matches in all datasets.
CALL db.index.fulltext.queryNodes('texts', $query) YIELD node, score
WHERE node:Item AND node.dataset = $dataset
RETURN node.id AS id, coalesce(node.name, node.id) AS name, score ORDER BY score DESC, id LIMIT $limit
