package dev.stillpoint.peer;

import com.scalar.db.api.DistributedTransaction;
import com.scalar.db.api.DistributedTransactionManager;
import com.scalar.db.api.Get;
import com.scalar.db.api.Upsert;
import com.scalar.db.exception.transaction.CommitConflictException;
import com.scalar.db.exception.transaction.CrudConflictException;
import com.scalar.db.exception.transaction.TransactionException;
import com.scalar.db.io.Key;
import java.util.Arrays;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * YCSB C and F over usertable (ycsb_key INT, payload TEXT), as ScalarDB's own benchmarks run them:
 * keys at random, distinct within a transaction; on a conflict the same transaction again.
 */
final class Ycsb {
  private final DistributedTransactionManager manager;

  Ycsb(DistributedTransactionManager manager) {
    this.manager = manager;
  }

  /** Answers commits, retries, failures, and the median and 99th percentile in microseconds. */
  String run(String[] namespaces, boolean write, int ops, int records, int payload, int threads, long millis)
      throws InterruptedException {
    AtomicLong committed = new AtomicLong();
    AtomicLong retries = new AtomicLong();
    AtomicLong failed = new AtomicLong();
    long[][] took = new long[threads][];
    long end = System.nanoTime() + millis * 1_000_000;
    Thread[] workers = new Thread[threads];
    for (int i = 0; i < threads; i++) {
      int worker = i;
      workers[i] =
          new Thread(
              () -> {
                long[] mine = new long[1 << 16];
                int n = 0;
                while (System.nanoTime() < end) {
                  int[] keys = keys(ops, records);
                  String text = text(payload);
                  long begun = System.nanoTime();
                  for (boolean done = false; !done; ) {
                    try {
                      once(namespaces, write, keys, text);
                      committed.incrementAndGet();
                      if (n < mine.length) {
                        mine[n++] = (System.nanoTime() - begun) / 1000;
                      }
                      done = true;
                    } catch (CrudConflictException | CommitConflictException e) {
                      retries.incrementAndGet();
                    } catch (TransactionException | RuntimeException e) {
                      failed.incrementAndGet();
                      done = true;
                    }
                  }
                }
                took[worker] = Arrays.copyOf(mine, n);
              });
      workers[i].start();
    }
    for (Thread worker : workers) {
      worker.join();
    }
    long[] all = Arrays.stream(took).flatMapToLong(Arrays::stream).sorted().toArray();
    long p50 = all.length == 0 ? 0 : all[all.length / 2];
    long p99 = all.length == 0 ? 0 : all[(int) (all.length * 99L / 100)];
    return committed + "\t" + retries + "\t" + failed + "\t" + p50 + "\t" + p99;
  }

  private void once(String[] namespaces, boolean write, int[] keys, String text)
      throws TransactionException {
    DistributedTransaction tx = manager.begin();
    try {
      for (String namespace : namespaces) {
        for (int k : keys) {
          Key key = Key.ofInt("ycsb_key", k);
          tx.get(Get.newBuilder().namespace(namespace).table("usertable").partitionKey(key).build());
          if (write) {
            tx.upsert(
                Upsert.newBuilder()
                    .namespace(namespace)
                    .table("usertable")
                    .partitionKey(key)
                    .textValue("payload", text)
                    .build());
          }
        }
      }
      tx.commit();
    } catch (TransactionException | RuntimeException e) {
      try {
        tx.rollback();
      } catch (TransactionException ignored) {
        // What matters is why the transaction failed.
      }
      throw e;
    }
  }

  private static int[] keys(int ops, int records) {
    return ThreadLocalRandom.current().ints(0, records).distinct().limit(ops).toArray();
  }

  private static String text(int payload) {
    StringBuilder b = new StringBuilder(payload);
    ThreadLocalRandom random = ThreadLocalRandom.current();
    for (int i = 0; i < payload; i++) {
      b.append((char) (32 + random.nextInt(95)));
    }
    return b.toString();
  }
}
