package dev.stillpoint.peer;

import com.scalar.db.api.DistributedTransaction;
import com.scalar.db.api.DistributedTransactionManager;
import com.scalar.db.api.Get;
import com.scalar.db.api.Insert;
import com.scalar.db.api.Result;
import com.scalar.db.api.Upsert;
import com.scalar.db.exception.transaction.CommitConflictException;
import com.scalar.db.exception.transaction.CrudConflictException;
import com.scalar.db.exception.transaction.TransactionException;
import com.scalar.db.io.Key;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Transfers between accounts. A bank is a namespace with bench_accounts (id, balance) and
 * bench_history
 * (account, move, amount): the balance of an account equals the sum of the amounts of its history.
 */
final class Bank {
  private final DistributedTransactionManager manager;

  Bank(DistributedTransactionManager manager) {
    this.manager = manager;
  }

  /** Moves money once; throws what the transaction throws. */
  void move(String fromBank, long from, String toBank, long to, long amount)
      throws TransactionException {
    DistributedTransaction tx = manager.begin();
    try {
      String move = UUID.randomUUID().toString();
      change(tx, fromBank, from, -amount, move + "-out");
      change(tx, toBank, to, amount, move + "-in");
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

  private static void change(
      DistributedTransaction tx, String bank, long account, long amount, String move)
      throws TransactionException {
    Key key = Key.ofBigInt("id", account);
    Optional<Result> row =
        tx.get(Get.newBuilder().namespace(bank).table("bench_accounts").partitionKey(key).build());
    long balance = row.orElseThrow().getBigInt("balance");
    tx.upsert(
        Upsert.newBuilder()
            .namespace(bank)
            .table("bench_accounts")
            .partitionKey(key)
            .bigIntValue("balance", balance + amount)
            .build());
    tx.insert(
        Insert.newBuilder()
            .namespace(bank)
            .table("bench_history")
            .partitionKey(Key.ofBigInt("account", account))
            .clusteringKey(Key.ofText("move", move))
            .bigIntValue("amount", amount)
            .build());
  }

  /** Moves money at random from several threads; stops after millis or enough commits. */
  String run(String[] banks, int accounts, int threads, long millis, long enough)
      throws InterruptedException {
    AtomicLong committed = new AtomicLong();
    AtomicLong conflicts = new AtomicLong();
    AtomicLong other = new AtomicLong();
    long end = System.nanoTime() + millis * 1_000_000;
    Thread[] workers = new Thread[threads];
    for (int i = 0; i < threads; i++) {
      workers[i] =
          new Thread(
              () -> {
                ThreadLocalRandom random = ThreadLocalRandom.current();
                while (System.nanoTime() < end && committed.get() < enough) {
                  String fromBank = banks[random.nextInt(banks.length)];
                  String toBank = banks[random.nextInt(banks.length)];
                  long from = random.nextInt(accounts);
                  long to = random.nextInt(accounts);
                  if (fromBank.equals(toBank) && from == to) {
                    continue;
                  }
                  try {
                    move(fromBank, from, toBank, to, 1 + random.nextInt(10));
                    committed.incrementAndGet();
                  } catch (CrudConflictException | CommitConflictException e) {
                    conflicts.incrementAndGet();
                  } catch (TransactionException | RuntimeException e) {
                    other.incrementAndGet();
                  }
                }
              });
      workers[i].start();
    }
    for (Thread worker : workers) {
      worker.join();
    }
    return committed + "\t" + conflicts + "\t" + other;
  }
}
