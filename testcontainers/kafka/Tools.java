import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command line tools one after the other in one JVM, which takes most of its time to start.
 *
 * Each line of the standard input is a tool's class and its arguments, with tabs in between. What the tool prints goes to
 * the standard output and error as ever; on both the end of the last line and a line "== STATUS" follow when it has ended.
 */
public class Tools {
    /** A tool's call of exit, which must not end this process. */
    private static final class Exited extends Error {
        final int status;

        Exited(int status) {
            super(null, null, false, false);
            this.status = status;
        }
    }

    public static void main(String[] ignored) throws IOException {
        Exit.setExitProcedure((status, message) -> {
            throw new Exited(status);
        });
        Exit.setHaltProcedure((status, message) -> {
            throw new Exited(status);
        });
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split("\t", -1);
            int status = run(words[0], Arrays.copyOfRange(words, 1, words.length));
            System.out.println("\n== " + status);
            System.out.flush();
            System.err.println("\n== " + status);
            System.err.flush();
        }
    }

    private static int run(String tool, String[] arguments) {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException failed) {
            if (failed.getCause() instanceof Exited) {
                return ((Exited) failed.getCause()).status;
            }
            failed.getCause().printStackTrace();
            return 1;
        } catch (ReflectiveOperationException failed) {
            failed.printStackTrace();
            return 1;
        }
    }
}
