package dev.stillpoint.peer;

import com.scalar.db.api.DistributedStorage;
import com.scalar.db.api.DistributedStorageAdmin;
import com.scalar.db.api.DistributedStorageProvider;
import com.scalar.db.config.DatabaseConfig;
import com.scalar.db.service.StorageFactory;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Properties;
import java.util.Set;

/**
 * The JDBC storage under the name "stepping-jdbc", with a counter of write calls that can halt the
 * JVM before or after any one of them: how a peer dies at an exact step of the protocol.
 */
public final class SteppingProvider implements DistributedStorageProvider {
  private static final Set<String> WRITES = Set.of("put", "delete", "mutate");

  private static int writes;
  private static int haltAt = -1;
  private static boolean haltAfter;

  /** Arms the switch: the n-th write from now (1-based) does not return; it happens if after. */
  static synchronized void arm(int n, boolean after) {
    haltAt = writes + n;
    haltAfter = after;
  }

  static synchronized int writes() {
    return writes;
  }

  private static synchronized int next() {
    return ++writes;
  }

  private static synchronized boolean halts(int n, boolean after) {
    return n == haltAt && after == haltAfter;
  }

  @Override
  public String getName() {
    return "stepping-jdbc";
  }

  @Override
  public DistributedStorage createDistributedStorage(DatabaseConfig config) {
    DistributedStorage real = StorageFactory.create(asJdbc(config)).getStorage();
    return (DistributedStorage)
        Proxy.newProxyInstance(
            getClass().getClassLoader(),
            new Class<?>[] {DistributedStorage.class},
            (proxy, method, args) -> {
              int n = WRITES.contains(method.getName()) ? next() : 0;
              if (halts(n, false)) {
                Runtime.getRuntime().halt(137);
              }
              try {
                return method.invoke(real, args);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              } finally {
                if (halts(n, true)) {
                  Runtime.getRuntime().halt(137);
                }
              }
            });
  }

  @Override
  public DistributedStorageAdmin createDistributedStorageAdmin(DatabaseConfig config) {
    return StorageFactory.create(asJdbc(config)).getStorageAdmin();
  }

  private static Properties asJdbc(DatabaseConfig config) {
    Properties properties = new Properties();
    properties.putAll(config.getProperties());
    properties.setProperty("scalar.db.storage", "jdbc");
    return properties;
  }
}
