import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.ByteBuffersDirectory;

/**
 * Ranks collections in BEIR's layout as Anserini's "flat" BM25 does (k1 0.9, b 0.4, title and text in one field, Porter's stemmer, Lucene's stop
 * words, a bag of words as the query), and prints nDCG@10 and R@100, as trec_eval computes them.
 */
public final class Peer {
  public static void main(String[] folders) throws Exception {
    for (String folder : folders) {
      System.out.println(Path.of(folder).getFileName() + "\t" + measure(Path.of(folder)));
    }
  }

  private static String measure(Path dir) throws Exception {
    Analyzer analyzer = new EnglishAnalyzer();
    ByteBuffersDirectory index = new ByteBuffersDirectory();
    IndexWriterConfig config = new IndexWriterConfig(analyzer);
    config.setSimilarity(new BM25Similarity(0.9f, 0.4f));
    Map<String, String> texts = new HashMap<>();
    try (IndexWriter writer = new IndexWriter(index, config)) {
      for (JsonObject o : records(dir.resolve("corpus.jsonl"))) {
        String id = o.get("_id").getAsString();
        String text = text(o, "title") + "\n" + text(o, "text");
        texts.put(id, text);
        Document d = new Document();
        d.add(new StringField("id", id, Field.Store.YES));
        d.add(new TextField("contents", text, Field.Store.NO));
        writer.addDocument(d);
      }
    }
    Map<String, Map<String, Integer>> judged = judgements(dir);
    double ndcg = 0, recall = 0;
    int asked = 0;
    try (DirectoryReader reader = DirectoryReader.open(index)) {
      IndexSearcher searcher = new IndexSearcher(reader);
      searcher.setSimilarity(new BM25Similarity(0.9f, 0.4f));
      for (JsonObject o : records(dir.resolve("queries.jsonl"))) {
        String id = o.get("_id").getAsString();
        Map<String, Integer> gains = judged.get(id);
        if (gains == null) {
          continue;
        }
        asked++;
        List<Integer> found = new ArrayList<>();
        String own = texts.get(id);
        boolean skip = own != null && own.contains(text(o, "text"));
        for (ScoreDoc hit : searcher.search(bag(analyzer, text(o, "text")), 101).scoreDocs) {
          String doc = searcher.storedFields().document(hit.doc).get("id");
          if (!(skip && doc.equals(id)) && found.size() < 100) {
            found.add(gains.getOrDefault(doc, 0));
          }
        }
        List<Integer> ideal = new ArrayList<>(gains.values());
        ideal.sort(Collections.reverseOrder());
        double relevant = ideal.stream().filter(g -> g > 0).count();
        if (relevant > 0) {
          ndcg += discounted(found) / discounted(ideal);
          recall += found.stream().filter(g -> g > 0).count() / relevant;
        }
      }
    }
    return String.format("%.4f\t%.4f", ndcg / asked, recall / asked);
  }

  private static BooleanQuery bag(Analyzer analyzer, String text) throws Exception {
    Map<String, Integer> terms = new LinkedHashMap<>();
    try (TokenStream stream = analyzer.tokenStream("contents", text)) {
      CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
      stream.reset();
      while (stream.incrementToken()) {
        terms.merge(term.toString(), 1, Integer::sum);
      }
      stream.end();
    }
    BooleanQuery.Builder out = new BooleanQuery.Builder();
    terms.forEach((term, times) -> out.add(new BoostQuery(new TermQuery(new Term("contents", term)), times), BooleanClause.Occur.SHOULD));
    return out.build();
  }

  private static double discounted(List<Integer> gains) {
    double sum = 0;
    for (int i = 0; i < Math.min(10, gains.size()); i++) {
      sum += Math.max(gains.get(i), 0) / (Math.log(i + 2) / Math.log(2));
    }
    return sum;
  }

  private static String text(JsonObject o, String field) {
    return o.has(field) && !o.get(field).isJsonNull() ? o.get(field).getAsString() : "";
  }

  private static List<JsonObject> records(Path file) throws Exception {
    List<JsonObject> out = new ArrayList<>();
    try (BufferedReader lines = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
      for (String line; (line = lines.readLine()) != null; ) {
        if (!line.isBlank()) {
          out.add(JsonParser.parseString(line).getAsJsonObject());
        }
      }
    }
    return out;
  }

  private static Map<String, Map<String, Integer>> judgements(Path dir) throws Exception {
    Path file = dir.resolve("qrels/test.tsv");
    if (!Files.exists(file)) {
      file = dir.resolve("qrels.tsv");
    }
    Map<String, Map<String, Integer>> out = new HashMap<>();
    for (String line : Files.readAllLines(file)) {
      String[] f = line.split("\t");
      if (f.length == 3 && f[2].matches("-?[0-9]+")) {
        out.computeIfAbsent(f[0], k -> new HashMap<>()).put(f[1], Integer.parseInt(f[2]));
      }
    }
    return out;
  }
}
