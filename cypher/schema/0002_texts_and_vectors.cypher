// Search in everything that has a text of its own, beyond names: what an item or entity is about, an intent's phrase, an
// LLM's profile of a user or an item.
CREATE FULLTEXT INDEX texts IF NOT EXISTS FOR (n:Item|Entity|Intent|Interest|Profile) ON EACH [n.name, n.text];

// Nearest neighbours by vector. `cikg embed` makes an index like this one for every label, model and dimension; this is
// the one for which the statements of embeddings.cypher are written. The dataset is filtered within the search, so that
// a small dataset's neighbours are found among those of large ones. Vectors are kept whole: quantised to bits, the
// server's default, a search in 64 dimensions misses about one neighbour in six.
CREATE VECTOR INDEX intent_lexical_64 IF NOT EXISTS FOR (n:Intent) ON n.embedding_lexical_64 WITH [n.dataset]
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine', `vector.quantization.type`: 'NONE'}};
